import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, reread, rows, thing } from "./setup.mjs";

const TEXT = "ParseA string of data: äöü";
const bytes = [...Buffer.from(TEXT)];
const base64 = Buffer.from(TEXT).toString("base64");
const got = async (file) => Buffer.from(await (await fetch(file.url())).arrayBuffer());

test("a file from base64 is stored, and its URL gives it back", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  assert.match(file.name(), /^[0-9a-f]{32}_hello\.txt$/);
  assert.equal((await got(file)).toString(), TEXT);
});

test("a file from a list of bytes", async () => {
  const file = await new Parse.File("hello.txt", bytes).save();
  assert.equal((await got(file)).toString(), TEXT);
});

test("a file from a Buffer", async () => {
  const file = await new Parse.File("data.bin", Buffer.from([0, 1, 2, 255])).save();
  assert.deepEqual([...(await got(file))], [0, 1, 2, 255]);
});

test("a file from a data URI", async () => {
  const file = await new Parse.File("hello.txt", { base64: `data:text/plain;base64,${base64}` }).save();
  assert.equal((await got(file)).toString(), TEXT);
});

test("a file with an unusual type is served by its name's type", async () => {
  const file = await new Parse.File("picture.png", { base64 }, "image/png").save();
  assert.match((await fetch(file.url())).headers.get("content-type"), /^image\/png/);
});

test("getData brings a stored file's data", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  const copy = Parse.File.fromJSON(file.toJSON());
  assert.equal(await copy.getData(), base64);
});

test("a file in an object comes back with name and url", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  const again = (await reread(await thing({ file }).save())).get("file");
  assert.ok(again instanceof Parse.File);
  assert.deepEqual([again.name(), again.url()], [file.name(), file.url()]);
});

test("an unsaved file is saved with its object", async () => {
  const file = new Parse.File("hello.txt", { base64 });
  const object = await thing({ file, list: [new Parse.File("two.txt", { base64 })] }).save();
  assert.ok(file.url());
  assert.ok((await reread(object)).get("list")[0].url());
});

test("metadata and tags are taken", async () => {
  const file = new Parse.File("hello.txt", { base64 }, "text/plain", { kind: "letter" }, { topic: "x" });
  await file.save();
  const answer = await fetch(file.url().replace("/files/app/", "/files/app/metadata/"));
  assert.equal((await answer.json()).metadata.kind, "letter");
});

test("metadata added later goes with the save", async () => {
  const file = new Parse.File("hello.txt", { base64 });
  file.addMetadata("a", "1");
  file.addTag("t", "2");
  await file.save();
  assert.deepEqual(file.metadata(), { a: "1" });
  assert.deepEqual(file.tags(), { t: "2" });
});

test("the master key deletes a file, clients do not", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  const name = file.name();
  const answer = await fetch(`${process.env.SERVER_URL}/files/${name}`, {
    method: "DELETE", headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js" },
  });
  assert.equal(answer.status, 403);
  await file.destroy(MASTER);
  assert.equal((await fetch(file.url())).status, 404);
});

test("deleting a file that is gone is 153", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  await file.destroy(MASTER);
  await fails(file.destroy(MASTER), Parse.Error.FILE_DELETE_ERROR);
});

test("a page that a browser would run is refused: 130", async () => {
  await fails(new Parse.File("evil.html", { base64 }).save(), Parse.Error.FILE_SAVE_ERROR);
  await fails(new Parse.File("evil.svg", { base64 }).save(), Parse.Error.FILE_SAVE_ERROR);
});

test("a name with a bad character is 122", async () => {
  await fails(new Parse.File("a(b).txt", { base64 }).save(), Parse.Error.INVALID_FILE_NAME);
});

test("an empty file is refused", async () => {
  await assert.rejects(new Parse.File("empty.txt", { base64: "" }).save());
});

test("part of a file by Range", async () => {
  const file = await new Parse.File("hello.txt", { base64: Buffer.from("0123456789").toString("base64") }).save();
  const answer = await fetch(file.url(), { headers: { Range: "bytes=2-4" } });
  assert.equal(answer.status, 206);
  assert.equal(await answer.text(), "234");
});

test("a file of a megabyte", async () => {
  const data = Buffer.alloc(1 << 20, 7);
  const file = await new Parse.File("big.bin", data).save();
  assert.equal((await got(file)).length, data.length);
});

test("a file equals one of the same name and url", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  assert.ok(file.equals(Parse.File.fromJSON(file.toJSON())));
});

test("a file's key can be unset and replaced", async () => {
  const object = await thing({ file: new Parse.File("one.txt", { base64 }) }).save();
  await object.save({ file: new Parse.File("two.txt", { base64 }) });
  assert.match((await reread(object)).get("file").name(), /two\.txt$/);
  object.unset("file");
  await object.save();
  assert.equal((await reread(object)).has("file"), false);
});

test("equalTo a file finds the object", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  const object = await thing({ file }, fresh()).save();
  assert.equal(await new Parse.Query(object.className).equalTo("file", file).count(), 1);
});

test("a file in a map and in a list comes back as a file", async () => {
  const file = await new Parse.File("hello.txt", { base64 }).save();
  const again = await reread(await thing({ map: { file }, list: [file] }).save());
  assert.equal(again.get("map").file.url(), file.url());
  assert.equal(again.get("list")[0].name(), file.name());
});

test("a file put into an object by a dotted key keeps its address", async () => {
  const file = await new Parse.File("in.txt", { base64: "AA==" }).save();
  const [made] = await rows([{ o: {} }]);
  made.set("o.file", file);
  await made.save();
  assert.equal((await reread(made)).get("o").file.url(), file.url());
});

test("an upload that says nothing of its type is text", async () => {
  const headers = { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js" };
  const answer = await fetch(`${process.env.SERVER_URL}/files/bare`, { method: "POST", headers, body: Buffer.from("hello") });
  assert.match((await answer.json()).name, /_bare\.txt$/);
});
