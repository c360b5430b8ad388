import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh } from "./setup.mjs";

async function device(fields) {
  const installation = new Parse.Installation();
  const id = fresh("device");
  return installation.save({ installationId: id, deviceType: "android", deviceToken: id, ...fields }, MASTER);
}

async function ended(id) {
  for (;;) {
    const status = await Parse.Push.getPushStatus(id, MASTER);
    if (status.get("status") === "succeeded" || status.get("status") === "failed") return status;
  }
}

test("a push goes to the installations of a query", async () => {
  const channel = fresh("channel");
  await device({ channels: [channel] });
  await device({ channels: [channel], deviceType: "ios" });
  await device({ channels: [] });
  const where = new Parse.Query(Parse.Installation).equalTo("channels", channel);
  const status = await ended(await Parse.Push.send({ where, data: { alert: "hello" } }, MASTER));
  assert.equal(status.get("status"), "succeeded");
  assert.equal(status.get("numSent"), 2);
  assert.deepEqual(status.get("sentPerType"), { android: 1, ios: 1 });
});

test("a push goes to channels", async () => {
  const channel = fresh("channel");
  await device({ channels: [channel] });
  const status = await ended(await Parse.Push.send({ channels: [channel], data: { alert: "hello" } }, MASTER));
  assert.equal(status.get("numSent"), 1);
  assert.equal(status.get("query"), JSON.stringify({ channels: { $in: [channel] } }));
});

test("a push that is to be sent later is scheduled", async () => {
  const id = await Parse.Push.send({ where: new Parse.Query(Parse.Installation), data: {}, push_time: new Date(4102444800000) }, MASTER);
  const status = await Parse.Push.getPushStatus(id, MASTER);
  assert.equal(status.get("status"), "scheduled");
  assert.equal(status.get("pushTime"), "2100-01-01T00:00:00.000Z");
});

test("a badge is raised for each installation", async () => {
  const channel = fresh("channel");
  const installation = await device({ channels: [channel], badge: 3 });
  await ended(await Parse.Push.send({ channels: [channel], data: { badge: "Increment" } }, MASTER));
  await installation.fetch(MASTER);
  assert.equal(installation.get("badge"), 4);
});

test("a push to a query and to channels is refused", async () => {
  const where = new Parse.Query(Parse.Installation);
  await fails(Parse.Push.send({ channels: ["a"], where, data: {} }, MASTER), Parse.Error.PUSH_MISCONFIGURED);
});
