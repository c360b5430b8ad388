import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, member, reread } from "./setup.mjs";

const login = (user, password = "secret") => Parse.User.logIn(user.getUsername(), password);
const as = (user) => ({ sessionToken: user.getSessionToken() });

test("signing up signs in, with a session token", async () => {
  const user = await member({ phone: "1" });
  assert.match(user.getSessionToken(), /^r:/);
  assert.equal(Parse.User.current().id, user.id);
  assert.equal(user.get("phone"), "1");
  assert.equal(user.authenticated(), true);
});

test("a user object signs itself up", async () => {
  const user = new Parse.User({ username: fresh("user"), password: "secret" });
  await user.signUp({ level: 3 });
  assert.equal(user.get("level"), 3);
  assert.equal(user.isCurrent(), true);
});

test("a name that is taken is 202, whatever its case", async () => {
  const user = await member();
  await fails(Parse.User.signUp(user.getUsername(), "other"), Parse.Error.USERNAME_TAKEN);
  await fails(Parse.User.signUp(user.getUsername().toUpperCase(), "other"), Parse.Error.USERNAME_TAKEN);
});

test("an address that is taken is 203", async () => {
  const email = `${fresh("mail")}@example.org`;
  await member({ email });
  await fails(Parse.User.signUp(fresh("user"), "secret", { email }), Parse.Error.EMAIL_TAKEN);
});

test("an address without @ is 125", async () => {
  await fails(Parse.User.signUp(fresh("user"), "secret", { email: "nonsense" }), Parse.Error.INVALID_EMAIL_ADDRESS);
});

test("a sign-up without a name or a password is refused", async () => {
  await fails(async () => new Parse.User({ password: "x" }).signUp(), Parse.Error.OTHER_CAUSE);
  await fails(async () => new Parse.User({ username: fresh() }).signUp(), Parse.Error.OTHER_CAUSE);
});

test("the password never comes back", async () => {
  const user = await member();
  const json = (await reread(user)).toJSON();
  assert.equal(json.password, undefined);
  assert.equal(json._hashed_password, undefined);
});

test("signing in gives the user, with a new session", async () => {
  const user = await member({ level: 1 });
  const first = user.getSessionToken();
  const again = await login(user);
  assert.equal(again.id, user.id);
  assert.equal(again.get("level"), 1);
  assert.notEqual(again.getSessionToken(), first);
});

test("a wrong password and an unknown name are both 101", async () => {
  const user = await member();
  await fails(login(user, "wrong"), Parse.Error.OBJECT_NOT_FOUND);
  await fails(Parse.User.logIn(fresh("nobody"), "secret"), Parse.Error.OBJECT_NOT_FOUND);
});

test("signing in by POST and by GET", async () => {
  const user = await member();
  const options = { usePost: true };
  assert.equal((await Parse.User.logIn(user.getUsername(), "secret", options)).id, user.id);
  assert.equal((await Parse.User.logIn(user.getUsername(), "secret", { usePost: false })).id, user.id);
});

test("logging in a user object", async () => {
  const made = await member();
  const user = new Parse.User({ username: made.getUsername(), password: "secret" });
  await user.logIn();
  assert.equal(user.id, made.id);
});

test("signing out ends the session", async () => {
  const user = await member();
  const token = user.getSessionToken();
  await Parse.User.logOut();
  assert.equal(Parse.User.current(), null);
  await fails(Parse.User.me(token), Parse.Error.INVALID_SESSION_TOKEN);
});

test("become and me take a session token", async () => {
  const user = await member({ level: 5 });
  const token = user.getSessionToken();
  assert.equal((await Parse.User.me(token)).id, user.id);
  assert.equal((await Parse.User.become(token)).get("level"), 5);
  assert.equal(Parse.User.current().id, user.id);
});

test("a token that nobody has is 209", async () => {
  await fails(Parse.User.become("r:0123456789abcdef0123456789abcdef"), Parse.Error.INVALID_SESSION_TOKEN);
});

test("a save with a token that nobody has is 209", async () => {
  await fails(new Parse.Object(fresh()).save(null, { sessionToken: "r:nonsense" }), Parse.Error.INVALID_SESSION_TOKEN);
});

test("hydrate makes a user of what a server sent", async () => {
  const user = await member();
  const made = await Parse.User.hydrate({ objectId: user.id, username: user.getUsername(), sessionToken: user.getSessionToken() });
  assert.equal(made.id, user.id);
  assert.equal(Parse.User.current().id, user.id);
});

test("loginAs gives the master key a session of any user", async () => {
  const user = await member({ level: 7 });
  await Parse.User.logOut();
  const other = await Parse.User.loginAs(user.id);
  assert.equal(other.get("level"), 7);
  assert.match(other.getSessionToken(), /^r:/);
  await fails(Parse.User.loginAs("nobody1234"), Parse.Error.OBJECT_NOT_FOUND);
});

test("a user changes herself, and nobody else may", async () => {
  const ann = await member();
  const token = as(ann);
  const bob = await member();
  await fails(new Parse.User({ id: ann.id }).save({ level: 1 }, as(bob)), Parse.Error.SESSION_MISSING);
  await ann.save({ level: 2 }, token);
  assert.equal((await reread(ann)).get("level"), 2);
});

test("the master key changes any user", async () => {
  const user = await member();
  await user.save({ level: 9 }, MASTER);
  assert.equal((await reread(user)).get("level"), 9);
});

test("a changed password is what counts from then on", async () => {
  const user = await member();
  user.setPassword("new-secret");
  await user.save();
  await fails(login(user, "secret"), Parse.Error.OBJECT_NOT_FOUND);
  assert.equal((await login(user, "new-secret")).id, user.id);
});

test("a changed password ends other sessions, and this one goes on", async () => {
  const user = await member();
  const old = user.getSessionToken();
  const current = await login(user);
  current.setPassword("another");
  await current.save();
  await fails(Parse.User.me(old), Parse.Error.INVALID_SESSION_TOKEN);
  assert.equal((await Parse.User.me(current.getSessionToken())).id, user.id);
});

test("a name can be changed, to one that is free", async () => {
  const taken = await member();
  const user = await member();
  await fails(user.save({ username: taken.getUsername() }), Parse.Error.USERNAME_TAKEN);
  const free = fresh("free");
  await user.save({ username: free });
  assert.equal((await Parse.User.logIn(free, "secret")).id, user.id);
});

test("signing in by address", async () => {
  const email = `${fresh("mail")}@example.org`;
  const user = await member({ email });
  const answer = await fetch(`${process.env.SERVER_URL}/login`, {
    method: "POST",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js", "Content-Type": "application/json" },
    body: JSON.stringify({ email, password: "secret" }),
  });
  assert.equal((await answer.json()).objectId, user.id);
});

test("verifyPassword checks without a session", async () => {
  const user = await member();
  const checked = await Parse.User.verifyPassword(user.getUsername(), "secret");
  assert.equal(checked.objectId, user.id);
  assert.equal(checked.sessionToken, undefined);
  await fails(Parse.User.verifyPassword(user.getUsername(), "wrong"), Parse.Error.OBJECT_NOT_FOUND);
});

test("a user object checks its own password", async () => {
  const user = await member();
  assert.equal((await user.verifyPassword("secret")).objectId, user.id);
});

test("users are private: others do not find them", async () => {
  const ann = await member();
  const bob = await member();
  assert.equal(await new Parse.Query(Parse.User).equalTo("objectId", ann.id).first(as(bob)), undefined);
  assert.equal((await new Parse.Query(Parse.User).equalTo("objectId", bob.id).first(as(bob))).id, bob.id);
});

test("an address is shown to its owner and the master key, to nobody else", async () => {
  const email = `${fresh("mail")}@example.org`;
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(true);
  const ann = await member({ email, ACL: acl });
  const id = ann.id;
  const token = as(ann);
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(Parse.User).get(id, token)).get("email"), email);
  await member();
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(Parse.User).get(id, { sessionToken: undefined })).get("email"), undefined);
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(Parse.User).get(id, MASTER)).get("email"), email);
});

test("a deleted user's session ends with her", async () => {
  const user = await member();
  const token = user.getSessionToken();
  await user.destroy();
  await fails(Parse.User.me(token), Parse.Error.INVALID_SESSION_TOKEN);
});

test("a user cannot delete another", async () => {
  const ann = await member();
  const bob = await member();
  await assert.rejects(new Parse.User({ id: ann.id }).destroy(as(bob)));
  assert.equal((await reread(ann)).id, ann.id);
});

test("fetch of the current user brings what changed", async () => {
  const user = await member({ level: 1 });
  await new Parse.Query(Parse.User).get(user.id, MASTER);
  const answer = await fetch(`${process.env.SERVER_URL}/users/${user.id}`, {
    method: "PUT",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Master-Key": "master", "Content-Type": "application/json" },
    body: JSON.stringify({ level: 2 }),
  });
  assert.equal(answer.status, 200);
  await user.fetch();
  assert.equal(user.get("level"), 2);
  assert.match(user.getSessionToken(), /^r:/);
});

test("a subclass of the user", async () => {
  class Person extends Parse.User {
    shout() { return this.getUsername().toUpperCase(); }
  }
  Parse.Object.registerSubclass("_User", Person);
  try {
    const user = await Person.signUp(fresh("user"), "secret");
    assert.equal(user.shout(), user.getUsername().toUpperCase());
    assert.ok((await new Parse.Query(Person).get(user.id)) instanceof Person);
  } finally {
    Parse.Object.registerSubclass("_User", Parse.User);
  }
});

test("a user can be pointed at, and included", async () => {
  const user = await member({ level: 4 });
  const object = await new Parse.Object(fresh(), { user }).save();
  const found = await new Parse.Query(object.className).include("user").first();
  assert.equal(found.get("user").get("level"), 4);
});

test("mail flows without a mail adapter are refused, not silent", async () => {
  const user = await member({ email: `${fresh("mail")}@example.org` });
  await assert.rejects(Parse.User.requestPasswordReset(user.getEmail()), (e) => Number.isInteger(e.code));
  await assert.rejects(Parse.User.requestEmailVerification(user.getEmail()), (e) => Number.isInteger(e.code));
});

test("a sign-up under the master key makes a user and no session", async () => {
  const user = new Parse.User({ username: fresh("user"), password: "secret" });
  await user.signUp(null, MASTER);
  assert.equal(await new Parse.Query(Parse.Session).equalTo("user", user).count(MASTER), 0);
  assert.equal((await login(user)).id, user.id);
});

test("an ACL given at sign-up is kept", async () => {
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(true);
  const user = await member({ ACL: acl });
  await Parse.User.logOut();
  assert.equal((await reread(user, {})).id, user.id);
});

test("letters of every script work in names and passwords", async () => {
  const name = `${fresh("名前")} ü`;
  const user = await Parse.User.signUp(name, "pässwörd ключ");
  assert.equal((await Parse.User.logIn(name, "pässwörd ключ")).id, user.id);
});

test("many sign-ups of one name at once: one gets it", async () => {
  const username = fresh("user");
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => new Parse.User({ username, password: "secret" }).signUp()));
  assert.equal(results.filter((r) => r.status === "fulfilled").length, 1);
  assert.ok(results.filter((r) => r.status === "rejected").every((r) => r.reason.code === Parse.Error.USERNAME_TAKEN));
});
