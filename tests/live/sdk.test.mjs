// Live queries through the stock SDK: every event, the rights of the session, and what a reconnect brings.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { fresh, member, MASTER, Parse, thing } from "../compat/sdk/setup.mjs";

const clients = [];
after(() => clients.forEach((client) => client.close()));

/** A client as an app has it: without the master key. */
async function connect(sessionToken) {
  const serverURL = process.env.SERVER_URL.replace("http", "ws");
  const client = new Parse.LiveQueryClient({ applicationId: "app", javascriptKey: "js", serverURL, sessionToken });
  clients.push(client);
  const opened = next(client, "open");
  client.open();
  await opened;
  return client;
}

/** The next event of this name, with its arguments. */
const next = (emitter, name) =>
  new Promise((resolve) => {
    let waiting = true;
    emitter.on(name, (...given) => {
      if (waiting) resolve(given);
      waiting = false;
    });
  });

/** A query's subscription, once the server has said that it is there. */
async function watch(query, token) {
  const subscription = (await connect(token)).subscribe(query);
  await next(subscription, "open");
  return subscription;
}

test("create, update, leave, enter and delete, each with its object", async () => {
  const object = thing({ n: 10 });
  const subscription = await watch(new Parse.Query(object.className).greaterThan("n", 5));
  const step = async (name, work) => {
    const [[now, original]] = await Promise.all([next(subscription, name), work()]);
    return [now.get("n"), original instanceof Parse.Object ? original.get("n") : undefined];
  };
  assert.deepEqual(await step("create", () => object.save()), [10, undefined]);
  assert.deepEqual(await step("update", () => object.save({ n: 11 })), [11, 10]);
  assert.deepEqual(await step("leave", () => object.save({ n: 1 })), [1, 11]);
  assert.deepEqual(await step("enter", () => object.save({ n: 7 })), [7, 1]);
  assert.deepEqual(await step("delete", () => object.destroy()), [7, undefined]);
});

test("selected keys only, and updates of watched fields only", async () => {
  const object = await thing({ a: 1, b: 1 }).save();
  const subscription = await watch(new Parse.Query(object.className).select("a").watch("a"));
  const seen = [];
  subscription.on("update", (now) => seen.push([now._getServerData().a, now._getServerData().b]));
  const last = new Promise((resolve) => subscription.on("update", (now) => now._getServerData().a === 3 && resolve()));
  for (const change of [{ b: 2 }, { a: 2 }, { b: 3 }, { a: 3 }]) await object.save(change);
  await last;
  assert.deepEqual(seen.map(([a]) => a), [2, 3]);
});

test("nobody hears of what she may not read", async () => {
  const className = fresh();
  const ann = await member();
  const subscription = await watch(new Parse.Query(className), ann.getSessionToken());
  const seen = [];
  const last = new Promise((resolve) =>
    subscription.on("create", (object) => {
      seen.push(object.get("n"));
      if (object.get("n") === 3) resolve();
    }),
  );
  for (const [n, ACL] of [[1, new Parse.ACL(ann)], [2, new Parse.ACL()], [3, new Parse.ACL(ann)]]) {
    await thing({ n, ACL }, className).save(null, MASTER);
  }
  await last;
  assert.deepEqual(seen, [1, 3]);
});

test("a query that is refused ends in an error event", async () => {
  const client = await connect();
  const subscription = client.subscribe(new Parse.Query(fresh()).matchesQuery("p", new Parse.Query(fresh())));
  subscription.subscribePromise.catch(() => {});
  const [error] = await next(subscription, "error");
  assert.match(String(error.message ?? error), /single object/);
});

test("a client that lost its connection subscribes anew by itself", async () => {
  const client = await connect();
  const className = fresh();
  const subscription = client.subscribe(new Parse.Query(className));
  await next(subscription, "open");
  const again = next(subscription, "open");
  client.socket.close();
  await again;
  const [[object]] = await Promise.all([next(subscription, "create"), thing({ n: 1 }, className).save()]);
  assert.equal(object.get("n"), 1);
});
