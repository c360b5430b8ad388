// What an app does on its first day, for an SDK that speaks the older dialect: PARSE_SDK=parse5/node.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, member, reread, rows, values } from "./setup.mjs";

test("the older SDK saves, changes, finds and destroys", async () => {
  const [one, two] = await rows([{ n: 1, when: new Date(5) }, { n: 2 }]);
  one.increment("n", 4);
  await one.save();
  assert.deepEqual(await values(new Parse.Query(one.className).greaterThan("n", 1), "n"), [2, 5]);
  await two.destroy();
  await fails(reread(two), Parse.Error.OBJECT_NOT_FOUND);
});

test("the older SDK signs up, in and out", async () => {
  const user = await member({ email: `${fresh("m")}@example.org` });
  const again = await Parse.User.logIn(user.getUsername(), "secret");
  assert.equal(again.id, user.id);
  assert.equal((await Parse.Session.current()).get("user").id, user.id);
  await Parse.User.logOut();
  assert.equal(Parse.User.current(), null);
});

test("the older SDK keeps objects to their owner", async () => {
  const user = await member();
  const object = new Parse.Object(fresh(), { n: 1 });
  object.setACL(new Parse.ACL(user));
  await object.save();
  await Parse.User.logOut();
  await fails(reread(object, {}), Parse.Error.OBJECT_NOT_FOUND);
  assert.equal((await reread(object, MASTER)).get("n"), 1);
});

test("the older SDK fills and reads relations, pointers and files", async () => {
  const [kid] = await rows([{ n: 1 }]);
  const [parent] = await rows([{ kid, file: new Parse.File("a.txt", { base64: "aGk=" }) }]);
  parent.relation("kids").add(kid);
  await parent.save();
  assert.equal((await parent.relation("kids").query().first()).id, kid.id);
  const found = await new Parse.Query(parent.className).include("kid").first();
  assert.equal(found.get("kid").get("n"), 1);
  assert.equal(await (await fetch(found.get("file").url())).text(), "hi");
});

test("the older SDK reads schemas, config and aggregates with the master key", async () => {
  const [one] = await rows([{ s: "a" }, { s: "a" }, { s: "b" }]);
  assert.equal((await new Parse.Schema(one.className).get()).fields.s.type, "String");
  const key = fresh("key");
  await Parse.Config.save({ [key]: 1 });
  assert.equal((await Parse.Config.get()).get(key), 1);
  assert.deepEqual((await new Parse.Query(one.className).distinct("s")).sort(), ["a", "b"]);
});

test("the older SDK asks by geo point, text and subquery", async () => {
  const [near] = await rows([{ s: "alpha", at: new Parse.GeoPoint(1, 1) }, { s: "beta", at: new Parse.GeoPoint(50, 50) }]);
  const query = () => new Parse.Query(near.className);
  assert.equal((await query().near("at", new Parse.GeoPoint(0, 0)).first()).id, near.id);
  assert.equal(await query().startsWith("s", "al").count(), 1);
  const [holder] = await rows([{ to: near }]);
  assert.equal(await new Parse.Query(holder.className).matchesQuery("to", query().equalTo("s", "alpha")).count(), 1);
});

test("the older SDK runs batches, and is told which part failed", async () => {
  const [typed] = await rows([{ n: 1 }]);
  const parts = [new Parse.Object(typed.className, { n: 2 }), new Parse.Object(typed.className, { n: "text" })];
  await fails(Parse.Object.saveAll(parts), Parse.Error.INCORRECT_TYPE);
  const query = new Parse.Query(typed.className);
  assert.equal(await query.count(), 2);
  await Parse.Object.destroyAll(await query.find());
  assert.equal(await query.count(), 0);
});

test("the older SDK signs in without a name", async () => {
  const user = await Parse.AnonymousUtils.logIn();
  assert.equal(Parse.AnonymousUtils.isLinked(user), true);
});
