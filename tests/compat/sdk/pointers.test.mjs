import assert from "node:assert/strict";
import { test } from "node:test";
import { Parse, fresh, reread, rows, thing } from "./setup.mjs";

const query = (object) => new Parse.Query(object.className);

test("a pointer without include holds the id only", async () => {
  const [child] = await rows([{ a: 1 }]);
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  const found = await query(parent).first();
  assert.equal(found.get("child").id, child.id);
  assert.equal(found.get("child").get("a"), undefined);
});

test("include brings the object", async () => {
  const [child] = await rows([{ a: 1 }]);
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  assert.equal((await query(parent).include("child").first()).get("child").get("a"), 1);
});

test("include of several keys, as arguments or a list", async () => {
  const [a, b] = await rows([{ n: 1 }, { n: 2 }]);
  const [parent] = await rows([{ a, b }]);
  Parse.Object._clearAllState();
  const one = await query(parent).include("a", "b").first();
  assert.deepEqual([one.get("a").get("n"), one.get("b").get("n")], [1, 2]);
  const two = await query(parent).include(["a", "b"]).first();
  assert.deepEqual([two.get("a").get("n"), two.get("b").get("n")], [1, 2]);
});

test("a dotted include follows pointers of pointers", async () => {
  const [c] = await rows([{ name: "c" }]);
  const [b] = await rows([{ c }]);
  const [a] = await rows([{ b }]);
  Parse.Object._clearAllState();
  const found = await query(a).include("b.c").first();
  assert.equal(found.get("b").get("c").get("name"), "c");
});

test("includeAll brings every pointer of the first level", async () => {
  const [a, b] = await rows([{ n: 1 }, { n: 2 }]);
  const [parent] = await rows([{ a, b }]);
  Parse.Object._clearAllState();
  const found = await query(parent).includeAll().first();
  assert.deepEqual([found.get("a").get("n"), found.get("b").get("n")], [1, 2]);
});

test("include follows pointers in a list", async () => {
  const kids = await rows([{ n: 1 }, { n: 2 }, { n: 3 }]);
  const [parent] = await rows([{ kids }]);
  Parse.Object._clearAllState();
  const found = await query(parent).include("kids").first();
  assert.deepEqual(found.get("kids").map((o) => o.get("n")), [1, 2, 3]);
});

test("include follows pointers in a map", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const [parent] = await rows([{ map: { kid } }]);
  Parse.Object._clearAllState();
  const found = await query(parent).include("map.kid").first();
  assert.equal(found.get("map").kid.get("n"), 1);
});

test("a dangling pointer disappears under include, and stays without", async () => {
  const [child] = await rows([{ a: 1 }]);
  const [parent] = await rows([{ child, n: 1 }]);
  await new Parse.Object(child.className, { id: child.id }).destroy();
  Parse.Object._clearAllState();
  assert.equal((await query(parent).include("child").first()).get("child"), undefined);
  Parse.Object._clearAllState();
  assert.equal((await query(parent).first()).get("child").id, child.id);
});

test("include of a key that is no pointer changes nothing", async () => {
  const [parent] = await rows([{ n: 1 }]);
  assert.equal((await query(parent).include("n").include("never").first()).get("n"), 1);
});

test("select of a key behind a pointer brings that key only", async () => {
  const [child] = await rows([{ a: 1, b: 2 }]);
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  const found = await query(parent).select("child.a").include("child").first();
  assert.deepEqual([found.get("child").get("a"), found.get("child").get("b")], [1, undefined]);
});

test("exclude of a key behind a pointer leaves it out", async () => {
  const [child] = await rows([{ a: 1, b: 2 }]);
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  const found = await query(parent).include("child").exclude("child.a").first();
  assert.deepEqual([found.get("child").get("a"), found.get("child").get("b")], [undefined, 2]);
});

test("get with include", async () => {
  const [child] = await rows([{ a: 1 }]);
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  assert.equal((await query(parent).include("child").get(parent.id)).get("child").get("a"), 1);
});

test("a pointer set to another object, to null, and unset", async () => {
  const [a, b] = await rows([{ n: 1 }, { n: 2 }]);
  const [parent] = await rows([{ child: a }]);
  await parent.save({ child: b });
  assert.equal((await reread(parent)).get("child").id, b.id);
  await parent.save({ child: null });
  assert.equal((await reread(parent)).get("child") ?? null, null);
  await parent.save({ child: a });
  parent.unset("child");
  await parent.save();
  assert.equal((await reread(parent)).has("child"), false);
});

test("a pointer to an object that does not exist may be saved", async () => {
  const name = fresh();
  await new Parse.Object(name).save();
  const parent = await thing({ child: Parse.Object.extend(name).createWithoutData("notthere12") }).save();
  assert.equal((await reread(parent)).get("child").id, "notthere12");
});

test("one included object that many point at is the same for all", async () => {
  const [child] = await rows([{ a: 1 }]);
  const made = await rows([{ child }, { child }, { child }]);
  Parse.Object._clearAllState();
  const found = await query(made[0]).include("child").find();
  assert.deepEqual(found.map((o) => o.get("child").get("a")), [1, 1, 1]);
});

test("an object that points at itself can be included", async () => {
  const object = await thing({ n: 1 }).save();
  await object.save({ self: object });
  const found = await query(object).include("self").get(object.id);
  assert.equal(found.get("self").get("n"), 1);
});

test("a query by the id behind a pointer", async () => {
  const [a, b] = await rows([{ n: 1 }, { n: 2 }]);
  const made = await rows([{ k: 1, at: a }, { k: 2, at: b }]);
  const bare = Parse.Object.extend(a.className).createWithoutData(b.id);
  assert.equal((await query(made[0]).equalTo("at", bare).first()).get("k"), 2);
});

test("include of what the caller may not read disappears", async () => {
  const child = thing({ secret: 1 });
  child.setACL(new Parse.ACL());
  await child.save(null, { useMasterKey: true });
  const [parent] = await rows([{ child }]);
  Parse.Object._clearAllState();
  assert.equal((await query(parent).include("child").first()).get("child"), undefined);
  assert.equal((await query(parent).include("child").first({ useMasterKey: true })).get("child").get("secret"), 1);
});

test("pointers of a list that dangle are left out under include", async () => {
  const kids = await rows([{ n: 1 }, { n: 2 }]);
  const [parent] = await rows([{ kids }]);
  await new Parse.Object(kids[0].className, { id: kids[0].id }).destroy();
  Parse.Object._clearAllState();
  const found = await query(parent).include("kids").first();
  assert.deepEqual(found.get("kids").map((o) => o.get("n")), [2]);
});

test("nulls of a list stay under include", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const [parent] = await rows([{ kids: [null, kid] }]);
  Parse.Object._clearAllState();
  const [nothing, found] = (await query(parent).include("kids").first()).get("kids");
  assert.equal(nothing, null);
  assert.equal(found.get("n"), 1);
});
