import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, reread, rows, thing } from "./setup.mjs";

test("a save gives an id of ten letters and digits, and both dates", async () => {
  const object = await thing({ a: 1 }).save();
  assert.match(object.id, /^[A-Za-z0-9]{10}$/);
  assert.ok(object.createdAt instanceof Date);
  assert.equal(object.createdAt.getTime(), object.updatedAt.getTime());
});

test("an object with nothing in it can be saved", async () => {
  const object = await thing().save();
  assert.ok((await reread(object)).id);
});

test("an update moves updatedAt on and leaves createdAt", async () => {
  const object = await thing({ a: 1 }).save();
  const made = object.createdAt;
  await object.save({ a: 2 });
  const again = await reread(object);
  assert.equal(again.createdAt.getTime(), made.getTime());
  assert.ok(again.updatedAt >= made);
  assert.equal(again.get("a"), 2);
});

test("strings keep every kind of character", async () => {
  const text = "häß\u0000\"'\\ 日本 🐘 \u2028 %$";
  assert.equal((await reread(await thing({ text }).save())).get("text"), text);
});

test("numbers keep sign, fraction and size", async () => {
  const numbers = { a: 0, b: -1.5, c: 2 ** 53 - 1, d: 1e300, e: 1e-7 };
  const again = await reread(await thing(numbers).save());
  for (const [key, value] of Object.entries(numbers)) assert.equal(again.get(key), value);
});

test("booleans, null and empty containers come back as they went", async () => {
  const fields = { yes: true, no: false, none: null, list: [], map: {}, text: "" };
  const again = await reread(await thing(fields).save());
  for (const [key, value] of Object.entries(fields)) assert.deepEqual(again.get(key), value);
});

test("nested maps and lists come back as they went", async () => {
  const deep = { a: [{ b: [1, [2, { c: null }]] }], d: { e: { f: "g" } } };
  assert.deepEqual((await reread(await thing({ deep }).save())).get("deep"), deep);
});

test("a date keeps its milliseconds", async () => {
  const when = new Date("2013-12-31T23:59:59.987Z");
  const again = await reread(await thing({ when }).save());
  assert.ok(again.get("when") instanceof Date);
  assert.equal(again.get("when").getTime(), when.getTime());
});

test("dates inside maps and lists come back as dates", async () => {
  const when = new Date(1400000000123);
  const again = await reread(await thing({ list: [when], map: { when } }).save());
  assert.equal(again.get("list")[0].getTime(), when.getTime());
  assert.equal(again.get("map").when.getTime(), when.getTime());
});

test("a date before 1970 and one far ahead survive", async () => {
  const again = await reread(await thing({ old: new Date("1815-12-10T00:00:00.001Z"), far: new Date("2999-01-01T00:00:00Z") }).save());
  assert.equal(again.get("old").toISOString(), "1815-12-10T00:00:00.001Z");
  assert.equal(again.get("far").toISOString(), "2999-01-01T00:00:00.000Z");
});

test("a geo point comes back as a geo point", async () => {
  const again = await reread(await thing({ at: new Parse.GeoPoint(44.5, -11.25) }).save());
  assert.ok(again.get("at") instanceof Parse.GeoPoint);
  assert.deepEqual([again.get("at").latitude, again.get("at").longitude], [44.5, -11.25]);
});

test("a polygon comes back as a closed polygon", async () => {
  const again = await reread(await thing({ area: new Parse.Polygon([[0, 0], [0, 1], [1, 1], [1, 0]]) }).save());
  assert.ok(again.get("area").equals(new Parse.Polygon([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]])));
});

test("bytes come back as they went", async () => {
  const data = { __type: "Bytes", base64: "aGVsbG8=" };
  const again = await reread(await thing({ data }).save());
  assert.deepEqual(again.get("data"), data);
});

test("unset takes a key away for good", async () => {
  const object = await thing({ a: 1, b: 2 }).save();
  object.unset("a");
  await object.save();
  const again = await reread(object);
  assert.equal(again.has("a"), false);
  assert.equal(again.get("b"), 2);
});

test("fetch brings what another client has changed", async () => {
  const object = await thing({ a: 1 }).save();
  const other = new Parse.Object(object.className, { id: object.id });
  await other.save({ a: 2, b: "new" });
  await object.fetch();
  assert.equal(object.get("a"), 2);
  assert.equal(object.get("b"), "new");
});

test("a key that another client has removed is gone", async () => {
  const object = await thing({ a: 1, b: 1 }).save();
  const raw = await fetch(`${process.env.SERVER_URL}/classes/${object.className}/${object.id}`, {
    method: "PUT",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js", "Content-Type": "application/json" },
    body: JSON.stringify({ a: { __op: "Delete" } }),
  });
  assert.equal(raw.status, 200);
  await object.fetch();
  assert.equal(object.get("b"), 1);
  Parse.Object._clearAllState();
  assert.equal((await reread(object)).has("a"), false);
});

test("fetch of a deleted object is 101", async () => {
  const object = await thing().save();
  await new Parse.Object(object.className, { id: object.id }).destroy();
  await fails(object.fetch(), Parse.Error.OBJECT_NOT_FOUND);
});

test("fetch of an object without an id is refused by the SDK", async () => {
  await fails(thing().fetch(), Parse.Error.MISSING_OBJECT_ID);
});

test("fetchWithInclude brings the object behind a pointer", async () => {
  const child = await thing({ name: "child" }).save();
  const parent = await thing({ child }).save();
  const bare = new Parse.Object(parent.className, { id: parent.id });
  await bare.fetchWithInclude("child");
  assert.equal(bare.get("child").get("name"), "child");
});

test("fetchAll brings all, fetchAllIfNeeded only what is missing", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  const bare = made.map((o) => Parse.Object.extend(o.className).createWithoutData(o.id));
  await Parse.Object.fetchAll(bare);
  assert.deepEqual(bare.map((o) => o.get("n")), [1, 2]);
  await Parse.Object.fetchAllIfNeeded(bare);
  assert.deepEqual(bare.map((o) => o.get("n")), [1, 2]);
});

test("fetchAllWithInclude and fetchAllIfNeededWithInclude bring pointers' objects", async () => {
  const child = await thing({ name: "kid" }).save();
  const [parent] = await rows([{ child }]);
  const bare = Parse.Object.extend(parent.className).createWithoutData(parent.id);
  await Parse.Object.fetchAllWithInclude([bare], ["child"]);
  assert.equal(bare.get("child").get("name"), "kid");
  const other = Parse.Object.extend(parent.className).createWithoutData(parent.id);
  await Parse.Object.fetchAllIfNeededWithInclude([other], "child");
  assert.equal(other.get("child").get("name"), "kid");
});

test("fetchAll with one that is gone is 101", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  await new Parse.Object(two.className, { id: two.id }).destroy();
  await fails(Parse.Object.fetchAll([one, two]), Parse.Error.OBJECT_NOT_FOUND);
});

test("exists tells whether an object is on the server", async () => {
  const object = await thing().save();
  assert.equal(await object.exists(), true);
  await object.destroy();
  assert.equal(await object.exists(), false);
  assert.equal(await thing().exists(), false);
});

test("destroy removes an object, a second time is 101", async () => {
  const object = await thing().save();
  await object.destroy();
  await fails(reread(object), Parse.Error.OBJECT_NOT_FOUND);
  await fails(object.destroy(), Parse.Error.OBJECT_NOT_FOUND);
});

test("dirty, dirtyKeys and revert follow what was not saved yet", async () => {
  const object = await thing({ a: 1 }).save();
  assert.equal(object.dirty(), false);
  object.set("a", 5);
  object.set("b", 6);
  assert.deepEqual(object.dirtyKeys().sort(), ["a", "b"]);
  object.revert("b");
  assert.equal(object.get("b"), undefined);
  object.revert();
  assert.equal(object.get("a"), 1);
  assert.equal(object.dirty(), false);
});

test("a save sends only what changed", async () => {
  const object = await thing({ a: 1, b: 1 }).save();
  await new Parse.Object(object.className, { id: object.id }).save({ b: 2 });
  await object.save({ a: 2 });
  const again = await reread(object);
  assert.deepEqual([again.get("a"), again.get("b")], [2, 2]);
});

test("clone makes a new object of the same fields", async () => {
  const object = await thing({ a: 1, list: [1] }).save();
  const twin = object.clone();
  assert.equal(twin.id, undefined);
  await twin.save();
  assert.notEqual(twin.id, object.id);
  assert.deepEqual((await reread(twin)).get("list"), [1]);
});

test("newInstance refers to the same row", async () => {
  const object = await thing({ a: 1 }).save();
  const other = object.newInstance();
  await other.save({ a: 3 });
  assert.equal((await reread(object)).get("a"), 3);
});

test("fromJSON and toJSON carry an object over", async () => {
  const object = await thing({ a: 1, when: new Date(5) }).save();
  const copy = Parse.Object.fromJSON({ ...object.toJSON(), className: object.className });
  assert.equal(copy.id, object.id);
  assert.equal(copy.get("when").getTime(), 5);
});

test("a registered subclass is what queries give back", async () => {
  const name = fresh("Monster");
  class Monster extends Parse.Object {
    constructor(fields) { super(name, fields); }
    roar() { return `${this.get("sound")}!`; }
  }
  Parse.Object.registerSubclass(name, Monster);
  const made = await new Monster({ sound: "grr" }).save();
  const found = await new Parse.Query(Monster).get(made.id);
  assert.equal(found.roar(), "grr!");
});

test("createWithoutData lets one update without a fetch", async () => {
  const object = await thing({ a: 1 }).save();
  const bare = Parse.Object.extend(object.className).createWithoutData(object.id);
  await bare.save({ b: 2 });
  const again = await reread(object);
  assert.deepEqual([again.get("a"), again.get("b")], [1, 2]);
});

test("a type once written is kept: another is 111", async () => {
  const object = await thing({ a: 1 }).save();
  await fails(new Parse.Object(object.className, { a: "text" }).save(), Parse.Error.INCORRECT_TYPE);
  await fails(object.save({ a: true }), Parse.Error.INCORRECT_TYPE);
});

test("a pointer column takes pointers to its own class only", async () => {
  const one = await thing().save();
  const two = await thing().save();
  const holder = await thing({ at: one }).save();
  await fails(holder.save({ at: two }), Parse.Error.INCORRECT_TYPE);
});

test("a key that starts with a digit or has a dash is refused", async () => {
  const object = await thing({ a: 1 }).save();
  assert.throws(() => object.set("1a", 1), { code: Parse.Error.INVALID_KEY_NAME });
  assert.throws(() => object.set("a-b", 1), { code: Parse.Error.INVALID_KEY_NAME });
});

test("the key `length` is refused by the server: 105", async () => {
  await fails(async () => thing({ length: 3 }).save(), Parse.Error.INVALID_KEY_NAME);
});

test("an update of an object that is not there is 101", async () => {
  const object = await thing().save();
  await fails(new Parse.Object(object.className, { id: "missing123" }).save({ a: 1 }), Parse.Error.OBJECT_NOT_FOUND);
});

test("a bad class name is refused: 103 or 107", async () => {
  await assert.rejects(new Parse.Object("not a name", { a: 1 }).save(), (e) => [103, 107].includes(e.code));
});

test("a dollar sign in a nested key is 121", async () => {
  await fails(thing({ map: { $gt: 1 } }).save(), Parse.Error.INVALID_NESTED_KEY);
});

test("a dot in a nested key is 121", async () => {
  await fails(thing({ map: { "a.b": 1 } }).save(), Parse.Error.INVALID_NESTED_KEY);
});

test("a dotted set changes one key of a map", async () => {
  const object = await thing({ map: { a: 1, b: { c: 2 } } }).save();
  object.set("map.b.c", 5);
  await object.save();
  assert.deepEqual((await reread(object)).get("map"), { a: 1, b: { c: 5 } });
});

test("a dotted unset takes one key of a map away", async () => {
  const object = await thing({ map: { a: 1, b: 2 } }).save();
  object.unset("map.a");
  await object.save();
  assert.deepEqual((await reread(object)).get("map"), { b: 2 });
});

test("a dotted increment adds to one key of a map", async () => {
  const object = await thing({ map: { a: 1, n: 2 } }).save();
  object.increment("map.n", 3);
  await object.save();
  assert.deepEqual((await reread(object)).get("map"), { a: 1, n: 5 });
});

test("toPointer and equals compare by class and id", async () => {
  const object = await thing().save();
  const same = new Parse.Object(object.className, { id: object.id });
  assert.ok(object.equals(same));
  assert.deepEqual(object.toPointer(), { __type: "Pointer", className: object.className, objectId: object.id });
});

test("isDataAvailable is false until fetched", async () => {
  const object = await thing({ a: 1 }).save();
  Parse.Object._clearAllState();
  const bare = new Parse.Object(object.className, { id: object.id });
  assert.equal(bare.isDataAvailable(), false);
  await bare.fetch();
  assert.equal(bare.isDataAvailable(), true);
});

test("the context of a save is accepted", async () => {
  const object = await thing({ a: 1 }).save(null, { context: { from: "test" } });
  assert.ok(object.id);
  await object.destroy({ context: { from: "test" } });
  assert.equal(await object.exists(), false);
});

test("validate keeps a bad object from being sent", async () => {
  const object = thing();
  object.validate = (fields) => (fields.age < 0 ? new Parse.Error(142, "age") : false);
  await object.save({ age: 1 });
  assert.throws(() => object.set("age", -1), { code: 142 });
  assert.equal((await reread(object)).get("age"), 1);
});

test("a megabyte of text is stored whole", async () => {
  const text = "x".repeat(1 << 20);
  assert.equal((await reread(await thing({ text }).save())).get("text").length, text.length);
});

test("many keys in one object are stored", async () => {
  const fields = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`key${i}`, i]));
  const again = await reread(await thing(fields).save());
  assert.equal(again.get("key199"), 199);
});

test("the master key may write where clients may not", async () => {
  const object = thing({ a: 1 });
  object.setACL(new Parse.ACL());
  await object.save(null, MASTER);
  await fails(object.save({ a: 2 }), Parse.Error.OBJECT_NOT_FOUND);
  await object.save({ a: 3 }, MASTER);
  assert.equal((await reread(object)).get("a"), 3);
});
