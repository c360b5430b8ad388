// Identity providers, as the stock SDK meets them. ISSUER answers /mint?provider=&sub= with authData that the server is to believe.
import assert from "node:assert/strict";
import { test } from "node:test";

import { fails, fresh, MASTER, Parse, reread } from "../compat/sdk/setup.mjs";

/** What a phone has when somebody has signed in with the provider. */
async function minted(provider, sub) {
  const answer = await fetch(`${process.env.ISSUER}/mint?provider=${provider}&sub=${sub}`);
  return (await answer.json())[provider];
}

test("logInWith signs up, and then in", async () => {
  const sub = fresh("sub");
  const first = await Parse.User.logInWith("google", { authData: await minted("google", sub) });
  assert.ok(first.getSessionToken());
  assert.ok(first._isLinked("google"));
  await Parse.User.logOut();
  const again = await Parse.User.logInWith("google", { authData: await minted("google", sub) });
  assert.equal(again.id, first.id);
  assert.equal((await Parse.User.currentAsync()).id, first.id);
});

test("logInWith refuses a token that is somebody else's", async () => {
  const authData = { ...(await minted("google", fresh("sub"))), id: "victim" };
  await fails(Parse.User.logInWith("google", { authData }), Parse.Error.OBJECT_NOT_FOUND);
  assert.equal(await Parse.User.currentAsync(), null);
});

test("linkWith adds providers to one person", async () => {
  const user = await Parse.User.signUp(fresh("user"), "secret");
  const [google, apple] = [fresh("g"), fresh("a")];
  await user.linkWith("google", { authData: await minted("google", google) });
  await user.linkWith("apple", { authData: await minted("apple", apple) });
  assert.ok(user._isLinked("google") && user._isLinked("apple"));
  await Parse.User.logOut();
  assert.equal((await Parse.User.logInWith("apple", { authData: await minted("apple", apple) })).id, user.id);
  await Parse.User.logOut();
  assert.equal((await Parse.User.logInWith("google", { authData: await minted("google", google) })).id, user.id);
});

test("linkWith refuses what is somebody else's", async () => {
  const sub = fresh("sub");
  await Parse.User.logInWith("google", { authData: await minted("google", sub) });
  await Parse.User.logOut();
  const user = await Parse.User.signUp(fresh("user"), "secret");
  await fails(user.linkWith("google", { authData: await minted("google", sub) }), Parse.Error.ACCOUNT_ALREADY_LINKED);
});

test("_unlinkFrom takes one away and leaves the other", async () => {
  const [google, apple] = [fresh("g"), fresh("a")];
  const user = await Parse.User.logInWith("google", { authData: await minted("google", google) });
  await user.linkWith("apple", { authData: await minted("apple", apple) });
  await user._unlinkFrom("google");
  assert.ok(!user._isLinked("google"));
  assert.deepEqual(Object.keys((await reread(user)).get("authData")), ["apple"]);
  await Parse.User.logOut();
  const other = await Parse.User.logInWith("google", { authData: await minted("google", google) });
  assert.notEqual(other.id, user.id);
});

test("an anonymous person becomes somebody, and keeps what is hers", async () => {
  const user = await Parse.AnonymousUtils.logIn();
  assert.ok(Parse.AnonymousUtils.isLinked(user));
  const sub = fresh("sub");
  await user.linkWith("google", { authData: await minted("google", sub) });
  assert.ok(!Parse.AnonymousUtils.isLinked(user));
  assert.deepEqual(Object.keys((await reread(user)).get("authData")), ["google"]);
  await Parse.User.logOut();
  assert.equal((await Parse.User.logInWith("google", { authData: await minted("google", sub) })).id, user.id);
});

test("a code is exchanged once, and linking another provider does not ask for it again", async () => {
  const user = await Parse.User.logInWith("github", { authData: { code: fresh("code") } });
  assert.deepEqual(Object.keys(user.get("authData").github), ["id"]);
  await user.linkWith("apple", { authData: await minted("apple", fresh("a")) });
  assert.deepEqual(Object.keys((await reread(user)).get("authData")).sort(), ["apple", "github"]);
});

test("a provider of the app's own code vouches", async () => {
  const id = fresh("own");
  const user = await Parse.User.logInWith("own", { authData: { id, token: "right" } });
  assert.deepEqual((await new Parse.Query(Parse.User).get(user.id, MASTER)).get("authData"), { own: { id, token: "right" } });
  await Parse.User.logOut();
  await fails(Parse.User.logInWith("own", { authData: { id, token: "wrong" } }), Parse.Error.SCRIPT_FAILED);
});
