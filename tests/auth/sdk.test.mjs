// Addresses and forgotten passwords, as the stock SDK meets them. MAILS is a folder with the mails of each address, one a file.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";

import { fails, fresh, Parse, reread } from "../compat/sdk/setup.mjs";

/** The link of the mail of that number to an address. */
async function link(address, count = 1) {
  const file = `${process.env.MAILS}/${address}.${count}`;
  for (let tries = 0; !existsSync(file); tries++) {
    assert.ok(tries < 1000, `no mail ${count} to ${address}`);
    await wait(10);
  }
  return readFileSync(file, "utf8").match(/https?:\S+/)[0];
}

/** Somebody who has signed up with an address. */
async function person(stem = "user") {
  const name = fresh(stem);
  return Parse.User.signUp(name, "secret", { email: `${name}@example.org` });
}

const choose = (address, password) => {
  const { origin, pathname, searchParams } = new URL(address);
  return fetch(origin + pathname, { method: "POST", body: new URLSearchParams({ token: searchParams.get("token"), new_password: password }) });
};

test("a sign-up's link proves the address", async () => {
  const user = await person();
  assert.equal((await reread(user)).get("emailVerified"), false);
  const page = await fetch(await link(user.getEmail()));
  assert.match(await page.text(), /Email verified!/);
  await user.fetch();
  assert.equal(user.get("emailVerified"), true);
});

test("the link is sent again when it is asked for", async () => {
  const user = await person();
  const first = await link(user.getEmail());
  await Parse.User.requestEmailVerification(user.getEmail());
  const second = await link(user.getEmail(), 2);
  assert.notEqual(second, first);
  assert.match(await (await fetch(first)).text(), /Invalid verification link!/);
  assert.match(await (await fetch(second)).text(), /Email verified!/);
});

test("a new address is to be proved anew", async () => {
  const user = await person();
  await fetch(await link(user.getEmail()));
  await user.fetch();
  assert.equal(user.get("emailVerified"), true);
  const address = `new-${user.getEmail()}`;
  await user.save({ email: address });
  await user.fetch();
  assert.equal(user.get("emailVerified"), false);
  await fetch(await link(address));
  assert.equal((await user.fetch()).get("emailVerified"), true);
});

test("nobody proves her own address by saying so", async () => {
  const user = await person();
  await fails(user.save({ emailVerified: true }), Parse.Error.OPERATION_FORBIDDEN);
});

test("a forgotten password is chosen anew", async () => {
  const user = await person();
  const token = user.getSessionToken();
  await Parse.User.requestPasswordReset(user.getEmail());
  const address = await link(user.getEmail(), 2);
  assert.match(await (await fetch(address)).text(), /new_password/);
  assert.match(await (await choose(address, "another")).text(), /Success!/);
  await fails(Parse.User.become(token), Parse.Error.INVALID_SESSION_TOKEN);
  await fails(Parse.User.logIn(user.getUsername(), "secret"), Parse.Error.OBJECT_NOT_FOUND);
  assert.equal((await Parse.User.logIn(user.getUsername(), "another")).id, user.id);
  assert.doesNotMatch(await (await choose(address, "a third")).text(), /Success!/);
});

test("a password is forgotten by people without an address, too", async () => {
  const name = `${fresh("user")}@example.org`;
  await Parse.User.signUp(name, "secret");
  await Parse.User.requestPasswordReset(name);
  assert.match(await (await choose(await link(name), "another")).text(), /Success!/);
});

test("nobody learns whether there is an account", async () => {
  await Parse.User.requestPasswordReset("nobody@example.org");
  await Parse.User.requestEmailVerification("nobody@example.org");
  assert.ok(!existsSync(`${process.env.MAILS}/nobody@example.org.1`));
});

test("a trigger refuses a mail", async () => {
  const user = await person("closed");
  await fails(Parse.User.requestPasswordReset(user.getEmail()), 4711);
});

/** What an authenticator app with the secret of twenty "A" shows, so many steps from now. */
function code(steps = 0) {
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const digest = createHmac("sha1", Buffer.alloc(20)).update(step).digest();
  const number = digest.readUInt32BE(digest[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

test("a second factor is enrolled, asked for and used once", async () => {
  const user = await person();
  await user.save({ authData: { mfa: { secret: "A".repeat(32), token: code(-1) } } });
  assert.equal(user.get("authDataResponse").mfa.recovery.split(", ").length, 2);
  assert.deepEqual((await user.fetch()).get("authData").mfa, { status: "enabled" });
  const name = user.getUsername();
  await fails(Parse.User.logIn(name, "secret"), Parse.Error.OTHER_CAUSE);
  const right = { mfa: { token: code(1) } };
  assert.equal((await Parse.User.logInWithAdditionalAuth(name, "secret", right)).id, user.id);
  await fails(Parse.User.logInWithAdditionalAuth(name, "secret", right), Parse.Error.SCRIPT_FAILED);
});
