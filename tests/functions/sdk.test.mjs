// Triggers of files and live queries, and a provider of an app's own, as the stock SDK meets them.
import assert from "node:assert/strict";
import { after, test } from "node:test";

import { fails, fresh, MASTER, Parse } from "../compat/sdk/setup.mjs";

const text = (data) => ({ base64: Buffer.from(data).toString("base64") });
const clients = [];
// A client that was refused has an open socket, which its own `close` leaves alone.
after(() => clients.forEach((client) => (client.close(), client.socket?.close())));

function client(more = {}) {
  const made = new Parse.LiveQueryClient({
    applicationId: "app",
    javascriptKey: "js",
    serverURL: process.env.SERVER_URL.replace("http", "ws"),
    ...more,
  });
  clients.push(made);
  return made;
}

const next = (emitter, name) => new Promise((resolve) => emitter.on(name, resolve));

test("a trigger adds to what a file's client says of it", async () => {
  const file = new Parse.File("plain.txt", text("hello"), "text/plain", { mine: 1 }, { own: "yes" });
  await file.save();
  assert.match(file.name(), /^plain\/files\/[0-9a-f]{32}_plain\.txt$/);
  const { metadata } = await (await fetch(file.url().replace("/app/", "/app/metadata/"))).json();
  assert.deepEqual(metadata, { mine: 1, size: 5, by: "nobody" });
  const note = await new Parse.Query("Note").equalTo("what", "saved").equalTo("name", file.name()).first();
  assert.deepEqual(note.get("tags"), { own: "yes", kind: "plain" });
  const answer = await fetch(file.url());
  assert.match(answer.headers.get("content-disposition"), /^attachment/);
});

test("a file that is refused", async () => {
  await fails(() => new Parse.File("refused.txt", text("x")).save(), 4711);
  await fails(() => new Parse.File("broken.txt", text("x")).save(), Parse.Error.FILE_SAVE_ERROR);
});

test("a file that is deleted, and one that may not be", async () => {
  const file = await new Parse.File("gone.txt", text("x")).save();
  await file.destroy(MASTER);
  assert.ok(await new Parse.Query("Note").equalTo("what", "deleted").equalTo("name", file.name()).first());
  const kept = await new Parse.File("shout.txt", text("x")).save();
  await fails(() => kept.destroy(MASTER), Parse.Error.FILE_DELETE_ERROR);
});

test("events come as their trigger leaves them", async () => {
  const topic = fresh("t");
  const user = await Parse.User.signUp(fresh("user"), "secret");
  const live = client({ sessionToken: user.getSessionToken() });
  live.open();
  const subscription = live.subscribe(new Parse.Query("Watched").equalTo("topic", topic), user.getSessionToken());
  await subscription.subscribePromise;
  const [created, updated] = [next(subscription, "create"), next(subscription, "update")];
  const made = await new Parse.Object("Watched", { topic, how: "told", n: 1 }).save();
  await made.save({ n: 2 });
  assert.deepEqual((await created).get("heard").slice(0, 2), ["create", user.getUsername()]);
  assert.deepEqual([(await updated).get("n"), (await updated).get("was")], [2, 1]);
});

test("a subscription that is refused, and one that is narrowed", async () => {
  const live = client();
  live.open();
  const refused = live.subscribe(new Parse.Query("Watched").equalTo("how", "refused"));
  refused.subscribePromise.catch(() => {});
  assert.equal(await next(refused, "error"), "not this");
  const topic = fresh("t");
  const narrowed = live.subscribe(new Parse.Query("Watched").equalTo("how", "narrowed").equalTo("topic", topic));
  await narrowed.subscribePromise;
  const created = next(narrowed, "create");
  await new Parse.Object("Watched", { topic, how: "narrowed", open: false, n: 1 }).save();
  await new Parse.Object("Watched", { topic, how: "narrowed", open: true, n: 2 }).save();
  assert.deepEqual([(await created).get("n"), (await created).get("topic")], [2, undefined]);
});

test("a connection that is refused", async () => {
  const live = client({ installationId: "banned" });
  live.open();
  const refused = assert.rejects(live.connectPromise, { code: 4711 });
  assert.equal(await next(live, "error"), "not from there");
  await refused;
});

test("signing up, in and linking with a provider of the app's own", async () => {
  const id = fresh("id");
  const authData = { id, token: "right" };
  const user = await Parse.User.logInWith("acme", { authData });
  assert.equal(user.existed(), false);
  await Parse.User.logOut();
  assert.equal((await Parse.User.logInWith("acme", { authData })).id, user.id);
  await Parse.User.logOut();
  await fails(() => Parse.User.logInWith("acme", { authData: { id, token: "wrong" } }), 4711);
  const other = await Parse.User.signUp(fresh("user"), "secret");
  await fails(() => other.linkWith("acme", { authData }), Parse.Error.ACCOUNT_ALREADY_LINKED);
  await other.linkWith("acme", { authData: { id: fresh("id"), token: "right" } });
  assert.ok(other._isLinked("acme"));
});
