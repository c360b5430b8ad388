import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, rows } from "./setup.mjs";

test("config values of every type come back", async () => {
  const name = fresh("key");
  await Parse.Config.save({ [name]: "text", [`${name}n`]: 5, [`${name}b`]: true, [`${name}l`]: [1], [`${name}m`]: { a: 1 } });
  const config = await Parse.Config.get();
  assert.equal(config.get(name), "text");
  assert.equal(config.get(`${name}n`), 5);
  assert.equal(config.get(`${name}b`), true);
  assert.deepEqual(config.get(`${name}l`), [1]);
  assert.deepEqual(config.get(`${name}m`), { a: 1 });
});

test("config values that are dates and points", async () => {
  const name = fresh("key");
  await Parse.Config.save({ [name]: new Date(1000), [`${name}g`]: new Parse.GeoPoint(1, 2) });
  const config = await Parse.Config.get();
  assert.equal(new Date(config.get(name)).getTime(), 1000);
  assert.ok(config.get(`${name}g`) instanceof Parse.GeoPoint);
});

test("config values for the master key alone are hidden from clients", async () => {
  const name = fresh("key");
  await Parse.Config.save({ [name]: "secret" }, { [name]: true });
  assert.equal((await Parse.Config.get()).get(name), undefined);
  assert.equal((await Parse.Config.get(MASTER)).get(name), "secret");
});

test("the current config is the last one got", async () => {
  const name = fresh("key");
  await Parse.Config.save({ [name]: 1 });
  await Parse.Config.get();
  assert.equal(Parse.Config.current().get(name), 1);
});

test("a schema is made with columns of every type, and read back", async () => {
  const name = fresh();
  const schema = new Parse.Schema(name);
  schema.addString("s").addNumber("n").addBoolean("b").addDate("d").addFile("f").addGeoPoint("g").addPolygon("p").addArray("a").addObject("o")
    .addPointer("u", "_User").addRelation("r", "_Role").addField("x", "Bytes");
  await schema.save();
  const { fields } = await new Parse.Schema(name).get();
  assert.equal(fields.s.type, "String");
  assert.equal(fields.p.type, "Polygon");
  assert.deepEqual(fields.u, { type: "Pointer", targetClass: "_User" });
  assert.deepEqual(fields.r, { type: "Relation", targetClass: "_Role" });
  assert.equal(fields.x.type, "Bytes");
  assert.ok(fields.objectId && fields.createdAt && fields.updatedAt && fields.ACL);
});

test("a schema made twice is 103", async () => {
  const name = fresh();
  await new Parse.Schema(name).save();
  await fails(new Parse.Schema(name).save(), Parse.Error.INVALID_CLASS_NAME);
});

test("a schema of a class that does not exist is 103", async () => {
  await fails(new Parse.Schema(fresh()).get(), Parse.Error.INVALID_CLASS_NAME);
});

test("all schemas are listed", async () => {
  const name = fresh();
  await new Parse.Schema(name).save();
  const all = await Parse.Schema.all();
  assert.ok(all.some((s) => s.className === name));
  assert.ok(all.some((s) => s.className === "_User"));
});

test("columns are added and dropped by an update", async () => {
  const name = fresh();
  const schema = new Parse.Schema(name).addString("old");
  await schema.save();
  schema.addNumber("n").deleteField("old");
  await schema.update();
  const { fields } = await new Parse.Schema(name).get();
  assert.equal(fields.n.type, "Number");
  assert.equal(fields.old, undefined);
});

test("a dropped column's values are gone, and its name may take another type", async () => {
  const [object] = await rows([{ a: 1, b: 2 }]);
  const schema = new Parse.Schema(object.className).deleteField("a");
  await schema.update();
  Parse.Object._clearAllState();
  const found = await new Parse.Query(object.className).first();
  assert.equal(found.get("a"), undefined);
  await found.save({ a: "text" });
  assert.equal((await new Parse.Query(object.className).first()).get("a"), "text");
});

test("a column that exists is 255 when it is added as another type", async () => {
  const name = fresh();
  await new Parse.Schema(name).addString("s").save();
  await fails(new Parse.Schema(name).addNumber("s").update(), 255);
});

test("a required column that is left out is 142", async () => {
  const name = fresh();
  await new Parse.Schema(name).addString("s", { required: true }).addNumber("n").save();
  await fails(new Parse.Object(name, { n: 1 }).save(), Parse.Error.VALIDATION_ERROR);
  assert.ok((await new Parse.Object(name, { s: "x" }).save()).id);
});

test("a default is put where a key is left out", async () => {
  const name = fresh();
  await new Parse.Schema(name).addString("s", { defaultValue: "hello" }).addNumber("n", { required: true, defaultValue: 7 }).save();
  const object = await new Parse.Object(name).save();
  assert.deepEqual([object.get("s"), object.get("n")], ["hello", 7]);
});

test("indexes are made and dropped by name", async () => {
  const name = fresh();
  const schema = new Parse.Schema(name).addString("s");
  await schema.addIndex("by_s", { s: 1 }).save();
  assert.deepEqual((await new Parse.Schema(name).get()).indexes.by_s, { s: 1 });
  const next = new Parse.Schema(name).deleteIndex("by_s");
  await next.update();
  assert.equal((await new Parse.Schema(name).get()).indexes?.by_s, undefined);
});

test("class permissions are read back as they were set", async () => {
  const name = fresh();
  await new Parse.Schema(name).setCLP({ find: { requiresAuthentication: true }, get: { "*": true } }).save();
  const { classLevelPermissions } = await new Parse.Schema(name).get();
  assert.deepEqual(classLevelPermissions.find, { requiresAuthentication: true });
  assert.deepEqual(classLevelPermissions.get, { "*": true });
  assert.deepEqual(classLevelPermissions.delete, {});
});

test("Parse.CLP builds class permissions", async () => {
  const name = fresh();
  const clp = new Parse.CLP();
  clp.setPublicFindAccess?.(true);
  clp.setFindRequiresAuthentication(true);
  await new Parse.Schema(name).setCLP(clp).save();
  assert.equal((await new Parse.Schema(name).get()).classLevelPermissions.find.requiresAuthentication, true);
});

test("purge empties a class and leaves its columns", async () => {
  const [object] = await rows([{ n: 1 }, { n: 2 }]);
  const schema = new Parse.Schema(object.className);
  await schema.purge();
  assert.equal(await new Parse.Query(object.className).count(), 0);
  assert.equal((await schema.get()).fields.n.type, "Number");
});

test("an empty class is deleted; one with rows is 255", async () => {
  const [object] = await rows([{ n: 1 }]);
  const schema = new Parse.Schema(object.className);
  await fails(schema.delete(), 255);
  await schema.purge();
  await schema.delete();
  await fails(schema.get(), Parse.Error.INVALID_CLASS_NAME);
});

test("schemas are for the master key alone", async () => {
  const headers = { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js" };
  assert.equal((await fetch(`${process.env.SERVER_URL}/schemas`, { headers })).status, 403);
});

test("distinct values", async () => {
  const [one] = await rows([{ s: "a" }, { s: "b" }, { s: "a" }]);
  assert.deepEqual((await new Parse.Query(one.className).distinct("s")).sort(), ["a", "b"]);
  assert.deepEqual(await new Parse.Query(one.className).equalTo("s", "b").distinct("s"), ["b"]);
});

test("distinct elements of lists", async () => {
  const [one] = await rows([{ l: [1, 2] }, { l: [2, 3] }]);
  assert.deepEqual((await new Parse.Query(one.className).distinct("l")).sort(), [1, 2, 3]);
});

test("aggregate groups and sums", async () => {
  const [one] = await rows([{ s: "a", n: 1 }, { s: "b", n: 2 }, { s: "a", n: 3 }]);
  const found = await new Parse.Query(one.className).aggregate([{ $group: { _id: "$s", total: { $sum: "$n" } } }]);
  const totals = Object.fromEntries(found.map((row) => [row.objectId, row.total]));
  assert.deepEqual(totals, { a: 4, b: 2 });
});

test("aggregate over all rows, with average, least and greatest", async () => {
  const [one] = await rows([{ n: 1 }, { n: 2 }, { n: 6 }]);
  const [all] = await new Parse.Query(one.className).aggregate({
    $group: { _id: null, mean: { $avg: "$n" }, low: { $min: "$n" }, high: { $max: "$n" }, count: { $sum: 1 } },
  });
  assert.deepEqual([all.mean, all.low, all.high, all.count], [3, 1, 6, 3]);
});

test("aggregate matches, sorts, limits, skips and projects", async () => {
  const [one] = await rows([1, 2, 3, 4].map((n) => ({ n, s: `s${n}` })));
  const found = await new Parse.Query(one.className).aggregate([
    { $match: { n: { $gt: 1 } } }, { $sort: { n: -1 } }, { $skip: 1 }, { $limit: 1 }, { $project: { s: 1 } },
  ]);
  assert.equal(found.length, 1);
  assert.equal(found[0].s, "s3");
  assert.equal(found[0].n, undefined);
});

test("aggregate takes the query's conditions as its first step", async () => {
  const [one] = await rows([{ n: 1 }, { n: 2 }]);
  const found = await new Parse.Query(one.className).equalTo("n", 2).aggregate([{ $project: { n: 1 } }]);
  assert.deepEqual(found.map((row) => row.n), [2]);
});

test("aggregate with an unknown stage is refused", async () => {
  const [one] = await rows([{ n: 1 }]);
  await fails(new Parse.Query(one.className).aggregate([{ $mystery: 1 }]), Parse.Error.INVALID_QUERY);
});

test("the server is healthy", async () => {
  assert.equal(await Parse.getServerHealth().then((h) => h.status), "ok");
});

test("analytics events are taken", async () => {
  await Parse.Analytics.track("opened", { from: "test" });
  assert.equal((await fetch(`${process.env.SERVER_URL}/events/AppOpened`, {
    method: "POST", headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js" }, body: "{}",
  })).status, 200);
});

test("a function that does not exist is 141", async () => {
  await fails(Parse.Cloud.run(fresh("fn")), Parse.Error.SCRIPT_FAILED);
});

test("a wrong application id is refused", async () => {
  const answer = await fetch(`${process.env.SERVER_URL}/classes/X`, { headers: { "X-Parse-Application-Id": "wrong" } });
  assert.equal(answer.status, 403);
  assert.deepEqual(await answer.json(), { error: "unauthorized" });
});

test("a wrong master key is refused", async () => {
  const headers = { "X-Parse-Application-Id": "app", "X-Parse-Master-Key": "wrong" };
  assert.equal((await fetch(`${process.env.SERVER_URL}/schemas`, { headers })).status, 403);
});

test("a browser may call from anywhere, also to be told an error", async () => {
  const answer = await fetch(`${process.env.SERVER_URL}/classes/X`, { method: "OPTIONS", headers: { Origin: "https://example.org" } });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  const refused = await fetch(`${process.env.SERVER_URL}/classes/X`);
  assert.equal(refused.headers.get("access-control-allow-origin"), "*");
});

test("a prohibited key is 105", async () => {
  const answer = await fetch(`${process.env.SERVER_URL}/classes/${fresh()}`, {
    method: "POST",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js", "Content-Type": "application/json" },
    body: '{"a":{"__proto__":{"b":1}}}',
  });
  assert.equal((await answer.json()).code, Parse.Error.INVALID_KEY_NAME);
});
