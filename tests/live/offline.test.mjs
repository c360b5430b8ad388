// The offline example with the stock SDK: what is written without a connection, what gets lost on the way, and what others do meanwhile.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { afterEach, test } from "node:test";

import { Offline } from "../../examples/offline/offline.mjs";
import { fresh, member, MASTER, Parse, reread, rows, thing } from "../compat/sdk/setup.mjs";

const WebSocket = createRequire(new URL("../compat/", import.meta.url))("ws");
const sockets = [];
afterEach(() => sockets.splice(0).forEach((socket) => socket.close()));

/** What a device keeps: a map that outlives the app. */
class Disk extends Map {
  getItem = async (key) => this.get(key) ?? null;
  setItem = async (key, text) => void this.set(key, text);
}

/** A connection that can be cut before a request, or after it has arrived. */
class Line {
  cut = "";
  fetch = async (...request) => {
    if (this.cut === "before") throw new TypeError("fetch failed");
    const reply = await fetch(...request);
    if (this.cut === "after") throw new TypeError("fetch failed");
    return reply;
  };
}

const device = (className, more = {}) => new Offline(Parse, className, { storage: new Disk(), ...more }).open();
const texts = (phone) => phone.all().map(({ text }) => text).sort();
const onServer = async (className) => (await new Parse.Query(className).ascending("text").find()).map((note) => note.get("text"));

test("what is written without a connection is there at once, and on the server after the next sync", async () => {
  const className = fresh("Note");
  const [there] = await rows([{ text: "old" }], className);
  const line = new Line();
  const phone = await device(className, { fetch: line.fetch });
  await phone.sync();
  line.cut = "before";
  const id = await phone.save({ text: "new" });
  await phone.save({ objectId: id, text: "newer" });
  await phone.save({ objectId: there.id, text: "older" });
  const gone = await phone.save({ text: "never mind" });
  await phone.remove(gone);
  assert.deepEqual(texts(phone), ["newer", "older"]);
  await assert.rejects(phone.sync(), TypeError);
  assert.deepEqual(await onServer(className), ["old"]);
  line.cut = "";
  await phone.sync();
  assert.deepEqual(await onServer(className), ["newer", "older"]);
  await phone.save({ objectId: id, text: "newest" });
  await phone.sync();
  assert.deepEqual(await onServer(className), ["newest", "older"]);
  assert.deepEqual(texts(phone), ["newest", "older"]);
});

test("a write whose answer was lost is done once", async () => {
  const className = fresh("Note");
  const line = new Line();
  const storage = new Disk();
  const phone = await device(className, { storage, fetch: line.fetch });
  await phone.sync();
  const id = await phone.save({ text: "once", n: 1 });
  line.cut = "after";
  await assert.rejects(phone.sync(), TypeError);
  assert.deepEqual(await onServer(className), ["once"]);
  line.cut = "";
  const restarted = await device(className, { storage, fetch: line.fetch });
  await restarted.save({ objectId: id, text: "changed" });
  await restarted.sync();
  line.cut = "after";
  await restarted.save({ objectId: id, text: "changed again" });
  await assert.rejects(restarted.sync(), TypeError);
  line.cut = "";
  await restarted.sync();
  assert.deepEqual(await onServer(className), ["changed again"]);
  assert.deepEqual(texts(restarted), ["changed again"]);
  const [kept] = restarted.all();
  assert.equal(kept.updatedAt, (await new Parse.Query(className).first()).updatedAt.toISOString());
});

test("two devices write the same object, and the second settles it", async () => {
  const className = fresh("Note");
  const [note] = await rows([{ text: "eggs", tags: ["food"] }], className);
  const asked = [];
  const resolve = (theirs, mine) => {
    asked.push([theirs.text, mine?.text]);
    return mine && { text: `${theirs.text}, ${mine.text}` };
  };
  const [first, second] = [await device(className), await device(className, { resolve })];
  await Promise.all([first.sync(), second.sync()]);
  await first.save({ objectId: note.id, text: "eggs, milk" });
  await second.save({ objectId: note.id, text: "bread" });
  await first.sync();
  await second.sync();
  assert.deepEqual(asked, [["eggs, milk", "bread"]]);
  await first.sync();
  assert.deepEqual([texts(first), texts(second)], [["eggs, milk, bread"], ["eggs, milk, bread"]]);
  assert.deepEqual((await reread(note)).get("tags"), ["food"]);
  await first.save({ objectId: note.id, text: "wine" });
  await second.remove(note.id);
  await first.sync();
  await second.sync();
  assert.deepEqual(asked[1], ["wine", undefined]);
  assert.deepEqual([texts(first), texts(second)], [["wine"], ["wine"]]);
});

test("what others write, hide and delete is there after a sync, more of it than fits a page", async () => {
  const className = fresh("Note");
  const ann = await member();
  const notes = await rows([{ text: "a" }, { text: "b" }, { text: "c", n: 9 }], className);
  const phone = await device(className, { where: { n: { $exists: false } } });
  await phone.sync();
  assert.deepEqual(texts(phone), ["a", "b"]);
  await rows(Array.from({ length: 120 }, (_, i) => ({ text: `m${String(i).padStart(3, "0")}` })), className);
  await notes[0].destroy();
  await notes[1].save({ ACL: new Parse.ACL() }, MASTER);
  await notes[2].unset("n").save();
  await phone.sync();
  assert.deepEqual([texts(phone).length, texts(phone)[0], texts(phone)[1]], [121, "c", "m000"]);
  await Parse.User.logOut();
  const stranger = await device(className, { storage: phone.storage });
  assert.notEqual(stranger.key, phone.key);
  assert.ok(phone.key.includes(ann.id));
});

test("a device whose user has lost her rights starts again, and keeps what she has not sent yet", async () => {
  const className = fresh("Note");
  const ann = await member();
  const role = new Parse.Role(fresh("Crew"), new Parse.ACL());
  role.getUsers().add(ann);
  await role.save(null, MASTER);
  const ACL = new Parse.ACL();
  ACL.setRoleReadAccess(role.getName(), true);
  await Parse.Object.saveAll([thing({ text: "crew only", ACL }, className), thing({ text: "for all" }, className)], MASTER);
  const phone = await device(className);
  await phone.sync();
  assert.deepEqual(texts(phone), ["crew only", "for all"]);
  role.getUsers().remove(ann);
  await role.save(null, MASTER);
  const refused = [];
  phone.refused = (write, error) => refused.push(error.code);
  await phone.save({ text: "mine" });
  await phone.save({ text: "mine", createdAt: 7 });
  await phone.sync();
  assert.deepEqual(texts(phone), ["for all", "mine"]);
  assert.equal(refused.length, 1);
});

test("a session that has ended keeps the queue for the next one", async () => {
  const className = fresh("Note");
  const ann = await member();
  const phone = await device(className);
  await phone.sync();
  const sessions = await new Parse.Query("_Session").equalTo("user", ann).find(MASTER);
  await Parse.Object.destroyAll(sessions, MASTER);
  await phone.save({ text: "later" });
  await assert.rejects(phone.sync(), (error) => error.code === Parse.Error.INVALID_SESSION_TOKEN);
  assert.deepEqual(texts(phone), ["later"]);
  await Parse.User.logIn(ann.getUsername(), "secret");
  await phone.sync();
  assert.deepEqual(await onServer(className), ["later"]);
});

test("a live query wakes a device, also for what came between two connections", async () => {
  const className = fresh("Note");
  let wake;
  const phone = await device(className, { changed: () => wake?.() });
  const shows = (...wanted) =>
    new Promise((resolve) => {
      wake = () => JSON.stringify(texts(phone)) === JSON.stringify(wanted) && resolve();
      wake();
    });
  sockets.push(phone.watch(WebSocket));
  await rows([{ text: "first" }], className);
  await shows("first");
  sockets.pop().close();
  await rows([{ text: "second" }], className);
  sockets.push(phone.watch(WebSocket));
  await shows("first", "second");
  await thing({ text: "third" }, className).save();
  await shows("first", "second", "third");
});
