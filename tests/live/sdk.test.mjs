// Live queries through the stock SDK: every event, the rights of the session, and what a reconnect brings.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { fresh, member, MASTER, Parse, thing } from "../compat/sdk/setup.mjs";

Parse.liveQueryServerURL = process.env.SERVER_URL.replace("http", "ws");

after(() => Parse.LiveQuery.close());

/** The next event of this name, with its arguments. */
const next = (emitter, name) => new Promise((resolve) => emitter.once(name, (...given) => resolve(given)));

/** A query's subscription, once the server has said that it is there. */
async function watch(query, token) {
  const subscription = await query.subscribe(token);
  await subscription.subscribePromise;
  return subscription;
}

test("create, update, leave, enter and delete, each with its object", async () => {
  const object = thing({ n: 10 });
  const subscription = await watch(new Parse.Query(object.className).greaterThan("n", 5));
  const step = async (name, work) => {
    const [[now, original]] = await Promise.all([next(subscription, name), work()]);
    return [now.get("n"), original?.get("n")];
  };
  assert.deepEqual(await step("create", () => object.save()), [10, undefined]);
  assert.deepEqual(await step("update", () => object.save({ n: 11 })), [11, 10]);
  assert.deepEqual(await step("leave", () => object.save({ n: 1 })), [1, 11]);
  assert.deepEqual(await step("enter", () => object.save({ n: 7 })), [7, 1]);
  assert.deepEqual(await step("delete", () => object.destroy()), [7, undefined]);
  subscription.unsubscribe();
});

test("selected keys only, and updates of watched fields only", async () => {
  const object = await thing({ a: 1, b: 1 }).save();
  const query = new Parse.Query(object.className).select("a").watch("a");
  const subscription = await watch(query);
  const update = next(subscription, "update");
  await object.save({ b: 2 });
  await object.save({ a: 2 });
  const [now] = await update;
  assert.deepEqual([now.get("a"), now.get("b")], [2, undefined]);
  subscription.unsubscribe();
});

test("nobody hears of what she may not read", async () => {
  const className = fresh();
  const ann = await member();
  const token = ann.getSessionToken();
  const hers = await watch(new Parse.Query(className), token);
  const seen = [];
  hers.on("create", (object) => seen.push(object.get("n")));
  const last = new Promise((resolve) => hers.on("create", (object) => object.get("n") === 3 && resolve()));
  for (const [n, acl] of [[1, new Parse.ACL(ann)], [2, new Parse.ACL()], [3, new Parse.ACL(ann)]]) {
    await thing({ n, ACL: acl }, className).save(null, MASTER);
  }
  await last;
  assert.deepEqual(seen, [1, 3]);
  hers.unsubscribe();
});

test("a query that is refused ends in an error event", async () => {
  const query = new Parse.Query(fresh()).matchesQuery("p", new Parse.Query(fresh()));
  const subscription = await query.subscribe();
  const [text] = await next(subscription, "error");
  assert.match(String(text), /single object/);
});

test("a client that lost its connection subscribes anew by itself", async () => {
  const client = new Parse.LiveQueryClient({
    applicationId: "app", javascriptKey: "js", serverURL: Parse.liveQueryServerURL, masterKey: undefined, sessionToken: undefined,
  });
  const className = fresh();
  client.open();
  await next(client, "open");
  const subscription = client.subscribe(new Parse.Query(className));
  await next(subscription, "open");
  client.socket.close();
  await next(client, "close");
  await next(subscription, "open");
  const [[object]] = await Promise.all([next(subscription, "create"), thing({ n: 1 }, className).save()]);
  assert.equal(object.get("n"), 1);
  client.close();
});
