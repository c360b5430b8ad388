import assert from "node:assert/strict";
import { test } from "node:test";
import { Parse, fails, fresh, reread, rows, thing } from "./setup.mjs";

const parentWith = async (children) => {
  const parent = await thing().save();
  parent.relation("kids").add(children);
  await parent.save();
  return parent;
};
const kids = async (parent) => (await parent.relation("kids").query().ascending("n").find()).map((o) => o.get("n"));

test("a relation gives what was added to it", async () => {
  const parent = await parentWith(await rows([{ n: 1 }, { n: 2 }]));
  assert.deepEqual(await kids(parent), [1, 2]);
});

test("a relation can be filled before the first save", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const parent = thing();
  parent.relation("kids").add(kid);
  await parent.save();
  assert.deepEqual(await kids(parent), [1]);
});

test("a relation read back is a relation of the right class", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const parent = await reread(await parentWith([kid]));
  assert.ok(parent.get("kids") instanceof Parse.Relation);
  assert.equal(parent.relation("kids").targetClassName, kid.className);
});

test("remove takes an object out of a relation, and leaves the object", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith(made);
  parent.relation("kids").remove(made[0]);
  await parent.save();
  assert.deepEqual(await kids(parent), [2]);
  assert.equal(await made[0].exists(), true);
});

test("add and remove travel in one save", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith([made[0]]);
  parent.relation("kids").add(made[1]);
  parent.relation("kids").remove(made[0]);
  await parent.save();
  assert.deepEqual(await kids(parent), [2]);
});

test("adding the same twice keeps it once", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const parent = await parentWith([kid]);
  parent.relation("kids").add(kid);
  await parent.save();
  assert.deepEqual(await kids(parent), [1]);
});

test("a relation's query takes conditions, counts and pages", async () => {
  const parent = await parentWith(await rows([{ n: 1 }, { n: 2 }, { n: 3 }]));
  const asked = () => parent.relation("kids").query();
  assert.equal(await asked().greaterThan("n", 1).count(), 2);
  assert.equal((await asked().limit(1).find()).length, 1);
  assert.deepEqual((await asked().equalTo("n", 2).find()).map((o) => o.get("n")), [2]);
});

test("a query finds the parents by a member of the relation", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith([one]);
  const found = await new Parse.Query(parent.className).equalTo("kids", one).find();
  assert.deepEqual(found.map((o) => o.id), [parent.id]);
  assert.equal((await new Parse.Query(parent.className).equalTo("kids", two).find()).length, 0);
});

test("a query finds parents by containedIn on a relation", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith([made[0]]);
  assert.equal(await new Parse.Query(parent.className).containedIn("kids", made).count(), 1);
});

test("or over relations", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith([one]);
  const other = new Parse.Object(parent.className);
  other.relation("kids").add(two);
  await other.save();
  const asked = Parse.Query.or(...[one, two].map((kid) => new Parse.Query(parent.className).equalTo("kids", kid)));
  assert.equal((await asked.find()).length, 2);
});

test("a deleted member is no longer found in a relation", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await parentWith(made);
  await made[0].destroy();
  assert.deepEqual(await kids(parent), [2]);
});

test("a relation of another class is 111", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const [stranger] = await rows([{ n: 1 }]);
  const parent = await parentWith([kid]);
  const bare = new Parse.Object(parent.className, { id: parent.id });
  bare.relation("kids").add(stranger);
  await fails(bare.save(), Parse.Error.INCORRECT_TYPE);
});

test("two relations of one object are apart", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  const parent = await thing().save();
  parent.relation("left").add(one);
  parent.relation("right").add(two);
  await parent.save();
  assert.equal((await parent.relation("left").query().first()).id, one.id);
  assert.equal((await parent.relation("right").query().first()).id, two.id);
});

test("many members", async () => {
  const made = await rows(Array.from({ length: 120 }, (_, n) => ({ n })));
  const parent = await parentWith(made);
  assert.equal(await parent.relation("kids").query().count(), 120);
});

test("a relation to one's own class", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  one.relation("kids").add(two);
  await one.save();
  assert.deepEqual(await kids(one), [2]);
});

test("include inside a relation's query", async () => {
  const [deep] = await rows([{ name: "deep" }]);
  const [kid] = await rows([{ n: 1, deep }]);
  const parent = await parentWith([kid]);
  const found = await parent.relation("kids").query().include("deep").first();
  assert.equal(found.get("deep").get("name"), "deep");
});

test("objects whose relation holds what a query matches, or does not", async () => {
  const [one, two] = await rows([{ n: 1 }, { n: 2 }]);
  const name = fresh("Parent");
  for (const kid of [one, two]) {
    const parent = new Parse.Object(name, { of: kid.get("n") });
    parent.relation("kids").add(kid);
    await parent.save();
  }
  const second = new Parse.Query(one.className).equalTo("n", 2);
  const of = async (query) => (await query.find()).map((parent) => parent.get("of"));
  assert.deepEqual(await of(new Parse.Query(name).matchesQuery("kids", second)), [2]);
  assert.deepEqual(await of(new Parse.Query(name).doesNotMatchQuery("kids", second)), [1]);
});
