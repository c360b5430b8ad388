import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh } from "./setup.mjs";

async function ended(id) {
  for (;;) {
    const status = await Parse.Cloud.getJobStatus(id);
    if (status.get("status") !== "running") return status;
  }
}

test("a function returns its result", async () => {
  assert.equal(await Parse.Cloud.run("bar", { key1: "value2", key2: "value1" }), "Foo");
});

test("a function's error has its code and text", async () => {
  const work = Parse.Cloud.run("bar", { key2: "other" });
  await assert.rejects(work, { code: Parse.Error.SCRIPT_FAILED, message: "bad stuff happened" });
});

test("a function that is not there is an error", async () => {
  await fails(Parse.Cloud.run(fresh("fn")), Parse.Error.SCRIPT_FAILED);
});

test("a function that returns nothing gives undefined", async () => {
  assert.equal(await Parse.Cloud.run("CloudFunctionUndefined"), undefined);
});

test("a function changes an object and returns it", async () => {
  const item = await new Parse.Object("Item").save({ foo: "bar" });
  const told = await Parse.Cloud.run("TestFetchFromLocalDatastore", { id: item.id });
  assert.ok(told instanceof Parse.Object);
  assert.deepEqual([told.id, told.className, told.get("foo")], [item.id, "Item", "changed"]);
  assert.equal((await item.fetch()).get("foo"), "changed");
});

test("a function changes a user with the master key", async () => {
  const user = await Parse.User.signUp(fresh("user"), "secret", { foo: "bar" });
  const told = await Parse.Cloud.run("UpdateUser", { id: user.id });
  assert.equal(told.get("foo"), "changed");
  assert.equal((await user.fetch()).get("foo"), "changed");
  await Parse.User.logOut();
});

test("params and results of every type come through", async () => {
  const made = await Parse.Cloud.run("CloudFunctionIdempotency");
  assert.equal(made.className, "IdempotencyItem");
  assert.ok(made.createdAt instanceof Date);
});

test("a job succeeds and keeps its params", async () => {
  const id = await Parse.Cloud.startJob("CloudJob1", { startedBy: "Monty Python" });
  const status = await ended(id);
  assert.equal(status.get("status"), "succeeded");
  assert.equal(status.get("params").startedBy, "Monty Python");
});

test("a job runs on after it was started", async () => {
  const id = await Parse.Cloud.startJob("CloudJob2", {});
  assert.equal((await Parse.Cloud.getJobStatus(id)).get("status"), "running");
  assert.equal((await ended(id)).get("status"), "succeeded");
});

test("a job that fails says why", async () => {
  const status = await ended(await Parse.Cloud.startJob("CloudJobFailing", {}));
  assert.deepEqual([status.get("status"), status.get("message")], ["failed", "cloud job failed"]);
});

test("jobs are listed for the master key", async () => {
  assert.deepEqual((await Parse.Cloud.getJobsData()).jobs, ["CloudJob1", "CloudJob2", "CloudJobFailing"]);
  await fails(Parse.Cloud.startJob("CloudJobNone", {}), Parse.Error.SCRIPT_FAILED);
});

test("a query for the status of a job needs the master key", async () => {
  await fails(new Parse.Query("_JobStatus").find(), Parse.Error.OPERATION_FORBIDDEN);
  assert.ok((await new Parse.Query("_JobStatus").find(MASTER)).length >= 0);
});
