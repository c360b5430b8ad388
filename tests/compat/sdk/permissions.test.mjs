import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, member, reread, rows, thing } from "./setup.mjs";

const NOT_FOUND = Parse.Error.OBJECT_NOT_FOUND;
const as = (user) => ({ sessionToken: user.getSessionToken() });
const withAcl = (acl, fields = { n: 1 }) => {
  const object = thing(fields);
  object.setACL(acl);
  return object;
};

/** Users whose sessions live on, with nobody signed in here: whoever was signed up last is signed out. */
async function people(count = 2) {
  const made = [];
  for (let i = 0; i <= count; i++) made.push(await member());
  await Parse.User.logOut();
  return made.slice(0, count);
}

test("an object without an ACL is for everybody", async () => {
  const object = await thing({ n: 1 }).save();
  assert.equal(object.getACL(), null);
  assert.equal((await reread(object, {})).get("n"), 1);
});

test("an owner's ACL hides the object from others and the signed-out", async () => {
  const [ann, bob] = await people();
  const object = await withAcl(new Parse.ACL(ann)).save(null, as(ann));
  assert.equal((await reread(object, as(ann))).get("n"), 1);
  await fails(reread(object, as(bob)), NOT_FOUND);
  await fails(reread(object, {}), NOT_FOUND);
});

test("find and count leave out what may not be read", async () => {
  const [ann, bob] = await people();
  const object = await withAcl(new Parse.ACL(ann)).save(null, as(ann));
  const asked = () => new Parse.Query(object.className);
  assert.equal((await asked().find(as(ann))).length, 1);
  assert.equal((await asked().find(as(bob))).length, 0);
  assert.equal(await asked().count(as(ann)), 1);
  assert.equal(await asked().count(as(bob)), 0);
});

test("what may be read may not therefore be written: 101", async () => {
  const [ann, bob] = await people();
  const acl = new Parse.ACL(ann);
  acl.setPublicReadAccess(true);
  const object = await withAcl(acl).save(null, as(ann));
  await fails(new Parse.Object(object.className, { id: object.id }).save({ n: 2 }, as(bob)), NOT_FOUND);
  await fails(new Parse.Object(object.className, { id: object.id }).destroy(as(bob)), NOT_FOUND);
  assert.equal((await reread(object, {})).get("n"), 1);
});

test("public write without read: written blindly", async () => {
  const acl = new Parse.ACL();
  acl.setPublicWriteAccess(true);
  const object = await withAcl(acl).save();
  await new Parse.Object(object.className, { id: object.id }).save({ n: 5 });
  await fails(reread(object, {}), NOT_FOUND);
  assert.equal((await reread(object)).get("n"), 5);
});

test("an ACL for two people lets both", async () => {
  const [ann, bob] = await people();
  const acl = new Parse.ACL(ann);
  acl.setReadAccess(bob, true);
  acl.setWriteAccess(bob, true);
  const object = await withAcl(acl).save(null, as(ann));
  await object.save({ n: 2 }, as(bob));
  assert.equal((await reread(object, as(ann))).get("n"), 2);
});

test("an ACL comes back with the object", async () => {
  const [ann, bob] = await people();
  const acl = new Parse.ACL(ann);
  acl.setPublicReadAccess(true);
  acl.setRoleWriteAccess("Editors", true);
  const object = await withAcl(acl).save(null, as(ann));
  const again = (await reread(object)).getACL();
  assert.ok(again.equals(acl));
  assert.equal(again.getReadAccess(bob), false);
  assert.equal(again.getRoleWriteAccess("Editors"), true);
});

test("an ACL can be opened and closed again", async () => {
  const [ann] = await people(1);
  const object = await withAcl(new Parse.ACL(ann)).save(null, as(ann));
  const open = new Parse.ACL(ann);
  open.setPublicReadAccess(true);
  object.setACL(open);
  await object.save(null, as(ann));
  assert.ok(await reread(object, {}));
  object.setACL(new Parse.ACL(ann));
  await object.save(null, as(ann));
  await fails(reread(object, {}), NOT_FOUND);
});

test("the owner may shut herself out; only the master key then sees it", async () => {
  const [ann] = await people(1);
  const object = await withAcl(new Parse.ACL(ann)).save(null, as(ann));
  object.setACL(new Parse.ACL());
  await object.save(null, as(ann));
  await fails(reread(object, as(ann)), NOT_FOUND);
  assert.equal((await reread(object)).get("n"), 1);
});

test("the master key reads, writes and deletes past every ACL", async () => {
  const object = await withAcl(new Parse.ACL()).save(null, MASTER);
  await object.save({ n: 9 }, MASTER);
  assert.equal((await reread(object)).get("n"), 9);
  await object.destroy(MASTER);
  await fails(reread(object), NOT_FOUND);
});

test("the signed-in user's own object is hers until she signs out", async () => {
  const ann = await member();
  const acl = new Parse.ACL(ann);
  const object = thing({ n: 1 });
  object.setACL(acl);
  await object.save();
  assert.ok(await reread(object, {}));
  await Parse.User.logOut();
  await fails(reread(object, {}), NOT_FOUND);
});

test("a role's members may what the role may", async () => {
  const [ann, bob] = await people();
  const role = new Parse.Role(fresh("Role"), new Parse.ACL(ann));
  role.getUsers().add(ann);
  await role.save(null, MASTER);
  const acl = new Parse.ACL();
  acl.setRoleReadAccess(role, true);
  acl.setRoleWriteAccess(role, true);
  const object = await withAcl(acl).save(null, MASTER);
  await object.save({ n: 2 }, as(ann));
  assert.equal((await reread(object, as(ann))).get("n"), 2);
  await fails(reread(object, as(bob)), NOT_FOUND);
});

test("a member who leaves a role loses what it gave", async () => {
  const [ann] = await people(1);
  const role = new Parse.Role(fresh("Role"), new Parse.ACL());
  role.getUsers().add(ann);
  await role.save(null, MASTER);
  const acl = new Parse.ACL();
  acl.setRoleReadAccess(role, true);
  const object = await withAcl(acl).save(null, MASTER);
  assert.ok(await reread(object, as(ann)));
  role.getUsers().remove(ann);
  await role.save(null, MASTER);
  await fails(reread(object, as(ann)), NOT_FOUND);
});

test("roles nest: a member of the inner role has what the outer gives", async () => {
  const [ann] = await people(1);
  const inner = new Parse.Role(fresh("Inner"), new Parse.ACL());
  inner.getUsers().add(ann);
  await inner.save(null, MASTER);
  const outer = new Parse.Role(fresh("Outer"), new Parse.ACL());
  outer.getRoles().add(inner);
  await outer.save(null, MASTER);
  const acl = new Parse.ACL();
  acl.setRoleReadAccess(outer, true);
  const object = await withAcl(acl).save(null, MASTER);
  assert.ok(await reread(object, as(ann)));
});

test("roles in a circle do not hang", async () => {
  const [ann] = await people(1);
  const one = await new Parse.Role(fresh("One"), new Parse.ACL()).save(null, MASTER);
  const two = new Parse.Role(fresh("Two"), new Parse.ACL());
  two.getRoles().add(one);
  two.getUsers().add(ann);
  await two.save(null, MASTER);
  one.getRoles().add(two);
  await one.save(null, MASTER);
  const acl = new Parse.ACL();
  acl.setRoleReadAccess(one, true);
  const object = await withAcl(acl).save(null, MASTER);
  assert.ok(await reread(object, as(ann)));
});

test("a role needs an ACL and a name", async () => {
  await assert.rejects(async () => new Parse.Role("", new Parse.ACL()).save());
  await assert.rejects(async () => new Parse.Role(fresh("Role")).save());
});

test("two roles of one name are refused: 137", async () => {
  const name = fresh("Role");
  await new Parse.Role(name, new Parse.ACL()).save(null, MASTER);
  await fails(new Parse.Role(name, new Parse.ACL()).save(null, MASTER), Parse.Error.DUPLICATE_VALUE);
});

test("a role without public write cannot be changed by others", async () => {
  const [ann] = await people(1);
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(true);
  const role = await new Parse.Role(fresh("Role"), acl).save(null, MASTER);
  role.getUsers().add(ann);
  await fails(role.save(null, as(ann)), NOT_FOUND);
});

test("roles are found by name, and their members through the relation", async () => {
  const [ann] = await people(1);
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(true);
  const role = new Parse.Role(fresh("Role"), acl);
  role.getUsers().add(ann);
  await role.save(null, MASTER);
  const found = await new Parse.Query(Parse.Role).equalTo("name", role.getName()).first();
  assert.ok(found instanceof Parse.Role);
  assert.equal(await found.getUsers().query().count(MASTER), 1);
});

test("a class that only the signed-in may create in", async () => {
  const name = fresh();
  await new Parse.Schema(name).setCLP({ create: { requiresAuthentication: true }, find: { "*": true }, get: { "*": true } }).save();
  await fails(new Parse.Object(name).save(), NOT_FOUND);
  await member();
  assert.ok((await new Parse.Object(name).save()).id);
});

test("a class closed to find is 119, and open to the master key", async () => {
  const name = fresh();
  await new Parse.Schema(name).setCLP({ find: {}, create: { "*": true } }).save();
  await new Parse.Object(name).save();
  await fails(new Parse.Query(name).find(), Parse.Error.OPERATION_FORBIDDEN);
  assert.equal((await new Parse.Query(name).find(MASTER)).length, 1);
});

test("get and count are closed apart from find", async () => {
  const name = fresh();
  await new Parse.Schema(name).setCLP({ find: { "*": true }, create: { "*": true }, get: {}, count: {} }).save();
  const object = await new Parse.Object(name).save();
  assert.equal((await new Parse.Query(name).exists("createdAt").find()).length, 1);
  await fails(object.fetch(), Parse.Error.OPERATION_FORBIDDEN);
  await fails(new Parse.Query(name).count(), Parse.Error.OPERATION_FORBIDDEN);
});

test("update and delete closed are 119", async () => {
  const name = fresh();
  await new Parse.Schema(name).addNumber("n").setCLP({ find: { "*": true }, get: { "*": true }, create: { "*": true } }).save();
  const object = await new Parse.Object(name, { n: 1 }).save();
  await fails(object.save({ n: 2 }), Parse.Error.OPERATION_FORBIDDEN);
  await fails(object.destroy(), Parse.Error.OPERATION_FORBIDDEN);
});

test("addField closed: known columns yes, new ones 119", async () => {
  const name = fresh();
  const open = { "*": true };
  await new Parse.Schema(name).addNumber("n").setCLP({ find: open, get: open, create: open, update: open, addField: {} }).save();
  const object = await new Parse.Object(name, { n: 1 }).save();
  await fails(object.save({ other: 1 }), Parse.Error.OPERATION_FORBIDDEN);
});

test("class permissions by user and by role", async () => {
  const [ann, bob, cid] = await people(3);
  const role = new Parse.Role(fresh("Role"), new Parse.ACL());
  role.getUsers().add(bob);
  await role.save(null, MASTER);
  const name = fresh();
  await new Parse.Schema(name).setCLP({ find: { [ann.id]: true, [`role:${role.getName()}`]: true }, create: { "*": true } }).save();
  await new Parse.Object(name).save();
  assert.equal((await new Parse.Query(name).find(as(ann))).length, 1);
  assert.equal((await new Parse.Query(name).find(as(bob))).length, 1);
  await fails(new Parse.Query(name).find(as(cid)), Parse.Error.OPERATION_FORBIDDEN);
});

test("pointer permissions: readUserFields shows an object to whom it points at", async () => {
  const [ann, bob] = await people();
  const name = fresh();
  await new Parse.Schema(name).addPointer("owner", "_User").setCLP({ readUserFields: ["owner"], create: { "*": true }, find: {}, get: {} }).save();
  await new Parse.Object(name, { owner: ann }).save(null, MASTER);
  assert.equal((await new Parse.Query(name).find(as(ann))).length, 1);
  assert.equal((await new Parse.Query(name).find(as(bob))).length, 0);
});

test("pointer permissions: writeUserFields lets write whom it points at", async () => {
  const [ann, bob] = await people();
  const name = fresh();
  const open = { "*": true };
  await new Parse.Schema(name).addPointer("owner", "_User").addNumber("n")
    .setCLP({ writeUserFields: ["owner"], create: open, find: open, get: open, update: {}, delete: {} }).save();
  const object = await new Parse.Object(name, { owner: ann, n: 1 }).save(null, MASTER);
  await object.save({ n: 2 }, as(ann));
  await fails(new Parse.Object(name, { id: object.id }).save({ n: 3 }, as(bob)), NOT_FOUND);
  assert.equal((await reread(object)).get("n"), 2);
});

test("pointerFields of an operation, also as a list of users", async () => {
  const [ann, bob] = await people();
  const name = fresh();
  await new Parse.Schema(name).addArray("team").setCLP({ find: { pointerFields: ["team"] }, create: { "*": true } }).save();
  await new Parse.Object(name, { team: [ann] }).save(null, MASTER);
  assert.equal((await new Parse.Query(name).find(as(ann))).length, 1);
  assert.equal((await new Parse.Query(name).find(as(bob))).length, 0);
});

test("protected fields are hidden from those named, and shown to the master key", async () => {
  const [ann] = await people(1);
  const [annId, asAnn] = [ann.id, as(ann)];
  const name = fresh();
  const open = { "*": true };
  await new Parse.Schema(name).addString("secret").addString("open")
    .setCLP({ find: open, get: open, create: open, protectedFields: { "*": ["secret"], [annId]: [] } }).save();
  const { id } = await new Parse.Object(name, { secret: "s", open: "o" }).save();
  Parse.Object._clearAllState();
  const bare = await new Parse.Query(name).get(id);
  assert.deepEqual([bare.get("secret"), bare.get("open")], [undefined, "o"]);
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(name).get(id, asAnn)).get("secret"), "s");
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(name).get(id, MASTER)).get("secret"), "s");
});

test("one may not search by a protected field", async () => {
  const name = fresh();
  const open = { "*": true };
  await new Parse.Schema(name).addString("secret").setCLP({ find: open, create: open, protectedFields: { "*": ["secret"] } }).save();
  await new Parse.Object(name, { secret: "s" }).save();
  await fails(new Parse.Query(name).equalTo("secret", "s").find(), Parse.Error.OPERATION_FORBIDDEN);
  await fails(new Parse.Query(name).ascending("secret").find(), Parse.Error.OPERATION_FORBIDDEN);
});

test("the ACL of a class is given to new objects", async () => {
  const [ann, bob] = await people();
  const name = fresh();
  const open = { "*": true };
  await new Parse.Schema(name).addNumber("n").setCLP({ find: open, get: open, create: open, ACL: { currentUser: { read: true, write: true } } }).save();
  const object = await new Parse.Object(name, { n: 1 }).save(null, as(ann));
  assert.ok(await reread(object, as(ann)));
  await fails(reread(object, as(bob)), NOT_FOUND);
});

test("system classes that are the server's alone are 119", async () => {
  for (const name of ["_PushStatus", "_JobStatus", "_GlobalConfig", "_Hooks", "_Idempotency", "_Audience"]) {
    await fails(new Parse.Query(name).find(), Parse.Error.OPERATION_FORBIDDEN);
  }
});

test("ACL objects in the SDK tell what they allow", () => {
  const acl = new Parse.ACL({ "*": { read: true }, u1: { write: true } });
  assert.equal(acl.getPublicReadAccess(), true);
  assert.equal(acl.getPublicWriteAccess(), false);
  assert.equal(acl.getWriteAccess("u1"), true);
  assert.deepEqual(acl.toJSON(), { "*": { read: true }, u1: { write: true } });
});

test("saveAll under an ACL fails for what may not be written", async () => {
  const [ann, bob] = await people();
  const object = await withAcl(new Parse.ACL(ann)).save(null, as(ann));
  const [open] = await rows([{ n: 1 }], object.className);
  open.set("n", 2);
  const foreign = new Parse.Object(object.className, { id: object.id, n: 2 });
  await fails(Parse.Object.saveAll([open, foreign], as(bob)), NOT_FOUND);
  assert.equal((await reread(open)).get("n"), 2);
  assert.equal((await reread(object)).get("n"), 1);
});
