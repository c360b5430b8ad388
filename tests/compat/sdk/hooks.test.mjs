import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { MASTER, Parse, fails, fresh } from "./setup.mjs";

const answers = new Map();
const received = [];
let server, url;

before(async () => {
  server = createServer(async (request, response) => {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = JSON.parse(Buffer.concat(pieces));
    received.push({ path: request.url, headers: request.headers, body });
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answers.get(request.url)(body)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = (path) => `http://127.0.0.1:${server.address().port}/${path}`;
});

after(() => {
  server.close();
  server.closeAllConnections();
});

/** A path of its own, at which this is answered. */
function at(answer) {
  const path = fresh("hook");
  answers.set(`/${path}`, answer);
  return path;
}

test("a function's webhook is made, read, changed, listed and removed", async () => {
  const name = fresh("fn");
  assert.deepEqual(await Parse.Hooks.createFunction(name, "http://someurl"), { functionName: name, url: "http://someurl" });
  assert.equal((await Parse.Hooks.getFunction(name)).url, "http://someurl");
  await Parse.Hooks.updateFunction(name, "http://anotherurl");
  const listed = (await Parse.Hooks.getFunctions()).filter((hook) => hook.functionName === name);
  assert.deepEqual(listed, [{ functionName: name, url: "http://anotherurl" }]);
  await Parse.Hooks.removeFunction(name);
  await fails(Parse.Hooks.getFunction(name), 143);
});

test("a trigger's webhook is made, read, changed, listed and removed", async () => {
  const name = fresh();
  await Parse.Hooks.createTrigger(name, "beforeDelete", "http://someurl");
  assert.equal((await Parse.Hooks.getTrigger(name, "beforeDelete")).url, "http://someurl");
  await Parse.Hooks.updateTrigger(name, "beforeDelete", "http://anotherurl");
  const listed = (await Parse.Hooks.getTriggers()).filter((hook) => hook.className === name);
  assert.deepEqual(listed, [{ className: name, triggerName: "beforeDelete", url: "http://anotherurl" }]);
  await Parse.Hooks.removeTrigger(name, "beforeDelete");
  await fails(Parse.Hooks.getTrigger(name, "beforeDelete"), 143);
});

test("a name is taken once", async () => {
  const name = fresh("fn");
  await Parse.Hooks.createFunction(name, "http://someurl");
  await fails(Parse.Hooks.createFunction(name, "http://someurl"), 143);
});

test("an unknown kind of trigger is refused", async () => {
  await fails(Parse.Hooks.createTrigger(fresh(), "beforeWhatever", "http://someurl"), 143);
});

test("a function is run", async () => {
  const path = at(() => ({ success: "OK!" }));
  await Parse.Hooks.createFunction(path, url(path));
  assert.equal(await Parse.Cloud.run(path), "OK!");
});

test("a function fails with an object", async () => {
  const path = at(() => ({ error: { code: 1337, error: "hacking that one!" } }));
  await Parse.Hooks.createFunction(path, url(path));
  await assert.rejects(Parse.Cloud.run(path), (error) => {
    assert.equal(error.code, Parse.Error.SCRIPT_FAILED);
    assert.deepEqual(error.message, { code: 1337, error: "hacking that one!" });
    return true;
  });
});

test("a beforeSave webhook changes what is saved", async () => {
  const path = at(({ object }) => ({ success: { ...object, hello: "world" } }));
  await Parse.Hooks.createTrigger(path, "beforeSave", url(path));
  const saved = await new Parse.Object(path, { a: 1 }).save();
  assert.equal(saved.get("hello"), "world");
  const found = await new Parse.Query(path).get(saved.id);
  assert.deepEqual([found.get("hello"), found.get("a")], ["world", 1]);
});

test("a beforeSave webhook sees the object as it was and as it becomes", async () => {
  const path = at(({ object }) => ({ success: object }));
  await Parse.Hooks.createTrigger(path, "beforeSave", url(path));
  const object = await new Parse.Object(path, { hello: "1" }).save();
  await object.save({ hello: "2" });
  const [first, second] = received.filter((each) => each.path === `/${path}`).map((each) => each.body);
  assert.deepEqual([first.object.hello, first.original, first.object.className], ["1", undefined, path]);
  assert.deepEqual([second.original.hello, second.object.hello, second.triggerName], ["1", "2", "beforeSave"]);
});

test("an afterSave webhook is told and may answer", async () => {
  const path = at(() => ({ success: {} }));
  await Parse.Hooks.createTrigger(path, "afterSave", url(path));
  const object = await new Parse.Object(path, { n: 1 }).save(null, MASTER);
  const [told] = received.filter((each) => each.path === `/${path}`);
  assert.deepEqual([told.body.object.objectId, told.body.master], [object.id, true]);
});
