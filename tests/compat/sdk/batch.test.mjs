import assert from "node:assert/strict";
import { test } from "node:test";
import { Parse, fails, fresh, reread, rows, thing } from "./setup.mjs";

const count = (name) => new Parse.Query(name).count();

test("saveAll saves new and changed objects together", async () => {
  const [old] = await rows([{ n: 1 }]);
  old.set("n", 2);
  await Parse.Object.saveAll([old, new Parse.Object(old.className, { n: 3 })]);
  assert.equal(await count(old.className), 2);
  assert.equal((await reread(old)).get("n"), 2);
});

test("saveAll of more than a batch's worth saves all", async () => {
  const made = await rows(Array.from({ length: 55 }, (_, n) => ({ n })));
  assert.equal(new Set(made.map((o) => o.id)).size, 55);
  assert.equal(await count(made[0].className), 55);
});

test("saveAll of nothing is fine", async () => {
  assert.deepEqual(await Parse.Object.saveAll([]), []);
});

test("saveAll in small batches gives the same", async () => {
  const name = fresh();
  await Parse.Object.saveAll(Array.from({ length: 7 }, (_, n) => new Parse.Object(name, { n })), { batchSize: 2 });
  assert.equal(await count(name), 7);
});

test("saveAll tells the error of the one that failed, and saves the rest", async () => {
  const [typed] = await rows([{ n: 1 }]);
  const good = new Parse.Object(typed.className, { n: 2 });
  const bad = new Parse.Object(typed.className, { n: "text" });
  await fails(Parse.Object.saveAll([good, bad]), Parse.Error.INCORRECT_TYPE);
  assert.equal(await count(typed.className), 2);
});

test("a save saves unsaved children first", async () => {
  const child = thing({ name: "kid" });
  const parent = thing({ child });
  await parent.save();
  assert.ok(child.id);
  assert.equal((await reread(parent)).get("child").id, child.id);
});

test("unsaved children of a changed child are saved with it", async () => {
  const b = await thing().save();
  const a = await thing({ b }).save();
  const c = thing({ n: 3 });
  b.set("c", c);
  await b.save();
  const found = await new Parse.Query(a.className).include("b.c").get(a.id);
  assert.equal(found.get("b").get("c").get("n"), 3);
  assert.ok(c.id);
});

test("children in lists and maps are saved", async () => {
  const [one, two] = [thing({ n: 1 }), thing({ n: 2 })];
  const parent = thing({ list: [one], map: { two } });
  await parent.save();
  const again = await reread(parent);
  assert.equal(again.get("list")[0].id, one.id);
  assert.equal(again.get("map").two.id, two.id);
});

test("a child that is shared is saved once", async () => {
  const child = thing();
  const name = fresh();
  const [a, b] = [new Parse.Object(name, { child }), new Parse.Object(name, { child })];
  await Parse.Object.saveAll([a, b]);
  assert.equal(a.get("child").id, b.get("child").id);
  assert.equal(await count(child.className), 1);
});

test("a cycle of unsaved objects is refused by the SDK", async () => {
  const [a, b] = [thing(), thing()];
  a.set("b", b);
  b.set("a", a);
  await assert.rejects(a.save());
});

test("a cycle of saved objects saves", async () => {
  const [a, b] = [await thing().save(), await thing().save()];
  a.set("b", b);
  b.set("a", a);
  await Parse.Object.saveAll([a, b]);
  assert.equal((await reread(a)).get("b").id, b.id);
  assert.equal((await reread(b)).get("a").id, a.id);
});

test("cascadeSave false does not send children", async () => {
  const child = await thing({ n: 1 }).save();
  const parent = await thing({ child }).save();
  child.set("n", 2);
  parent.set("x", 1);
  await parent.save(null, { cascadeSave: false });
  assert.equal(child.dirty("n"), true);
  const found = await new Parse.Query(child.className).equalTo("n", 1).count();
  assert.equal(found, 1);
});

test("a changed child is saved with its parent", async () => {
  const child = await thing({ n: 1 }).save();
  const parent = await thing({ child }).save();
  child.set("n", 2);
  parent.set("x", 1);
  await parent.save();
  assert.equal((await reread(child)).get("n"), 2);
});

test("destroyAll removes all", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }, { n: 3 }]);
  await Parse.Object.destroyAll(made);
  assert.equal(await count(made[0].className), 0);
});

test("destroyAll of more than a batch's worth removes all", async () => {
  const made = await rows(Array.from({ length: 45 }, (_, n) => ({ n })));
  await Parse.Object.destroyAll(made);
  assert.equal(await count(made[0].className), 0);
});

test("destroyAll of nothing is fine", async () => {
  assert.deepEqual(await Parse.Object.destroyAll([]), []);
});

test("destroyAll tells the ones that were gone in an aggregate error, and removes the rest", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  await new Parse.Object(made[0].className, { id: made[0].id }).destroy();
  await assert.rejects(Parse.Object.destroyAll(made), (error) => {
    assert.equal(error.code, Parse.Error.AGGREGATE_ERROR);
    assert.deepEqual(error.errors.map((e) => e.code), [Parse.Error.OBJECT_NOT_FOUND]);
    assert.equal(error.errors[0].object.id, made[0].id);
    return true;
  });
  assert.equal(await count(made[0].className), 0);
});

test("a transaction saves all", async () => {
  const name = fresh();
  await new Parse.Object(name, { n: 0 }).save();
  await Parse.Object.saveAll([new Parse.Object(name, { n: 1 }), new Parse.Object(name, { n: 2 })], { transaction: true });
  assert.equal(await count(name), 3);
});

test("a transaction in which one part fails saves nothing", async () => {
  const [typed] = await rows([{ n: 1 }]);
  const parts = [new Parse.Object(typed.className, { n: 2 }), new Parse.Object(typed.className, { n: "text" })];
  await assert.rejects(Parse.Object.saveAll(parts, { transaction: true }));
  assert.equal(await count(typed.className), 1);
});

test("a transaction over several classes is all or nothing", async () => {
  const [one] = await rows([{ n: 1 }]);
  const [two] = await rows([{ n: 1 }]);
  await assert.rejects(Parse.Object.saveAll([
    new Parse.Object(two.className, { n: 2 }),
    new Parse.Object(one.className, { n: "text" }),
  ], { transaction: true }));
  assert.equal(await count(two.className), 1);
});

test("a transaction of deletes in which one is gone deletes nothing", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  await new Parse.Object(made[1].className, { id: made[1].id }).destroy();
  await assert.rejects(Parse.Object.destroyAll(made, { transaction: true }));
  assert.equal(await count(made[0].className), 1);
});

test("a transaction of deletes removes all", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  await Parse.Object.destroyAll(made, { transaction: true });
  assert.equal(await count(made[0].className), 0);
});

test("updates and increments are part of a transaction", async () => {
  const made = await rows([{ n: 1 }, { n: 2 }]);
  for (const object of made) object.increment("n", 10);
  await Parse.Object.saveAll(made, { transaction: true });
  assert.deepEqual([(await reread(made[0])).get("n"), (await reread(made[1])).get("n")], [11, 12]);
});

test("saveAll saves the children of its objects before them", async () => {
  const child = thing({ n: 1 });
  const parent = thing({ child });
  await Parse.Object.saveAll([parent]);
  assert.equal((await reread(parent)).get("child").id, child.id);
});

test("two saves of one object in a row keep their order", async () => {
  const object = await thing({ n: 0 }).save();
  const first = object.save({ n: 1 });
  const second = object.save({ n: 2 });
  await Promise.all([first, second]);
  assert.equal((await reread(object)).get("n"), 2);
});

test("a batch answers in the order of its requests", async () => {
  const made = await rows([{ n: 5 }, { n: 6 }, { n: 7 }]);
  for (const object of made) object.increment("n");
  await Parse.Object.saveAll(made);
  assert.deepEqual(made.map((o) => o.get("n")), [6, 7, 8]);
});

test("idempotency: a request repeated under its id is refused with 159", async () => {
  const name = fresh();
  const send = () => fetch(`${process.env.SERVER_URL}/classes/${name}`, {
    method: "POST",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js", "X-Parse-Request-Id": name, "Content-Type": "application/json" },
    body: "{}",
  });
  assert.equal((await send()).status, 201);
  const again = await send();
  assert.equal(again.status, 400);
  assert.equal((await again.json()).code, Parse.Error.DUPLICATE_REQUEST);
  assert.equal(await count(name), 1);
});

test("idempotency: the SDK's own request ids never collide", async () => {
  Parse.idempotency = true;
  Parse.CoreManager.set("IDEMPOTENCY", true);
  try {
    const name = fresh();
    await new Parse.Object(name, { n: 1 }).save();
    await new Parse.Object(name, { n: 1 }).save();
    assert.equal(await count(name), 2);
  } finally {
    Parse.CoreManager.set("IDEMPOTENCY", false);
  }
});
