import assert from "node:assert/strict";
import { test } from "node:test";
import { Parse, fails, reread, rows, thing } from "./setup.mjs";

const bare = (object) => new Parse.Object(object.className, { id: object.id });

test("increment counts up by one, and by any number", async () => {
  const object = await thing({ n: 1 }).save();
  object.increment("n");
  await object.save();
  object.increment("n", 2.5);
  await object.save();
  assert.equal((await reread(object)).get("n"), 4.5);
});

test("decrement counts down", async () => {
  const object = await thing({ n: 10 }).save();
  object.decrement("n");
  await object.save();
  object.decrement("n", 4);
  await object.save();
  assert.equal((await reread(object)).get("n"), 5);
});

test("increment of an absent key starts at nothing", async () => {
  const object = await thing().save();
  object.increment("n", 7);
  await object.save();
  assert.equal((await reread(object)).get("n"), 7);
});

test("increment in a new object sets the amount", async () => {
  const object = thing();
  object.increment("n", 3);
  await object.save();
  assert.equal((await reread(object)).get("n"), 3);
});

test("increments of many clients at once add up", async () => {
  const object = await thing({ n: 0 }).save();
  await Promise.all(Array.from({ length: 20 }, () => { const o = bare(object); o.increment("n"); return o.save(); }));
  assert.equal((await reread(object)).get("n"), 20);
});

test("an increment tells the resulting value", async () => {
  const object = await thing({ n: 1 }).save();
  const other = bare(object);
  other.increment("n", 5);
  await other.save();
  assert.equal(other.get("n"), 6);
});

test("increment of a text is refused", async () => {
  const object = await thing({ n: "text" }).save();
  const other = bare(object);
  other.increment("n");
  await fails(other.save(), Parse.Error.INCORRECT_TYPE);
});

test("add appends, twice the same as well", async () => {
  const object = await thing({ list: [1] }).save();
  object.add("list", 2);
  object.add("list", 2);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [1, 2, 2]);
});

test("addAll appends several", async () => {
  const object = await thing({ list: ["a"] }).save();
  object.addAll("list", ["b", "c"]);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), ["a", "b", "c"]);
});

test("add to an absent key makes the list", async () => {
  const object = await thing().save();
  object.add("list", { a: 1 });
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [{ a: 1 }]);
});

test("addUnique leaves out what is there", async () => {
  const object = await thing({ list: [1, 2] }).save();
  object.addUnique("list", 2);
  await object.save();
  object.addUnique("list", 3);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [1, 2, 3]);
});

test("addAllUnique compares maps by value", async () => {
  const object = await thing({ list: [{ a: 1 }] }).save();
  const other = bare(object);
  other.addAllUnique("list", [{ a: 1 }, { a: 2 }]);
  await other.save();
  assert.deepEqual((await reread(object)).get("list"), [{ a: 1 }, { a: 2 }]);
});

test("remove takes every equal element out", async () => {
  const object = await thing({ list: [1, 2, 1, 3] }).save();
  object.remove("list", 1);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [2, 3]);
});

test("removeAll takes several out", async () => {
  const object = await thing({ list: [1, 2, 3, 4] }).save();
  object.removeAll("list", [1, 4, 9]);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [2, 3]);
});

test("remove of what is not there changes nothing", async () => {
  const object = await thing({ list: [1] }).save();
  object.remove("list", 2);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [1]);
});

test("remove on an absent key is answered, and leaves no elements", async () => {
  const object = await thing({ a: 1 }).save();
  object.remove("list", 2);
  await object.save();
  assert.deepEqual((await reread(object)).get("list") ?? [], []);
});

test("pointers are added once and removed by id", async () => {
  const child = await thing().save();
  const object = await thing({ kids: [] }).save();
  object.addUnique("kids", child);
  await object.save();
  object.addUnique("kids", child);
  await object.save();
  assert.equal((await reread(object)).get("kids").length, 1);
  object.remove("kids", child);
  await object.save();
  assert.equal((await reread(object)).get("kids").length, 0);
});

test("two adds of two clients both stay", async () => {
  const object = await thing({ list: [] }).save();
  const [one, two] = [bare(object), bare(object)];
  one.add("list", 1);
  two.add("list", 2);
  await Promise.all([one.save(), two.save()]);
  assert.deepEqual((await reread(object)).get("list").sort(), [1, 2]);
});

test("a list operator on a number is 111", async () => {
  const object = await thing({ n: 1 }).save();
  const other = bare(object);
  other.add("n", 1);
  await fails(other.save(), Parse.Error.INCORRECT_TYPE);
});

test("set after unset, and unset after set, leave the last", async () => {
  const object = await thing({ a: 1, b: 1 }).save();
  object.unset("a");
  object.set("a", 2);
  object.set("b", 2);
  object.unset("b");
  await object.save();
  const again = await reread(object);
  assert.equal(again.get("a"), 2);
  assert.equal(again.has("b"), false);
});

test("an increment after a set before the save is one number", async () => {
  const object = thing({ n: 5 });
  object.increment("n", 2);
  await object.save();
  assert.equal((await reread(object)).get("n"), 7);
});

test("an add before the first save is part of it", async () => {
  const object = thing();
  object.add("list", 1);
  object.add("list", 2);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [1, 2]);
});

test("a date in a list is found by addUnique", async () => {
  const when = new Date(1000);
  const object = await thing({ list: [when] }).save();
  const other = bare(object);
  other.addUnique("list", when);
  await other.save();
  assert.equal((await reread(object)).get("list").length, 1);
});

test("lists nest in lists through add", async () => {
  const object = await thing({ list: [[1]] }).save();
  object.add("list", [2, 3]);
  await object.save();
  assert.deepEqual((await reread(object)).get("list"), [[1], [2, 3]]);
});

test("unset of a key that was never there is fine", async () => {
  const object = await thing({ a: 1 }).save();
  object.unset("never");
  await object.save();
  assert.equal((await reread(object)).has("never"), false);
});

test("set to null is kept, and is not the same as unset", async () => {
  const object = await thing({ a: 1 }).save();
  await object.save({ a: null });
  const again = await reread(object);
  assert.equal(again.get("a"), null);
  assert.equal(again.has("a"), false);
  assert.ok("a" in again.toJSON());
});

test("several operators travel in one save", async () => {
  const object = await thing({ n: 1, list: [1], old: 1 }).save();
  object.increment("n");
  object.add("list", 2);
  object.unset("old");
  object.set("fresh", true);
  await object.save();
  const json = (await reread(object)).toJSON();
  assert.deepEqual([json.n, json.list, json.old, json.fresh], [2, [1, 2], undefined, true]);
});

test("op tells what is pending", () => {
  const object = thing();
  object.increment("n", 4);
  assert.ok(object.op("n"));
  assert.equal(object.op("other"), undefined);
});

test("an element of a list is reached by its place", async () => {
  const [made] = await rows([{ items: [{ value: "a", count: 5 }, { value: "b", count: 1 }] }]);
  made.increment("items.0.count", 15);
  made.increment("items.1.count", 4);
  await made.save();
  const wanted = [{ value: "a", count: 20 }, { value: "b", count: 5 }];
  assert.deepEqual(made.get("items"), wanted);
  assert.deepEqual((await reread(made)).get("items"), wanted);
});
