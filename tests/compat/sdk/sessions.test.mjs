import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, member, reread } from "./setup.mjs";

const as = (user) => ({ sessionToken: user.getSessionToken() });

test("the current session is that of the token", async () => {
  const user = await member();
  const session = await Parse.Session.current();
  assert.ok(session instanceof Parse.Session);
  assert.equal(session.get("user").id, user.id);
  assert.equal(session.getSessionToken(), user.getSessionToken());
});

test("a session tells how it was made", async () => {
  await member();
  const session = await Parse.Session.current();
  assert.deepEqual(session.get("createdWith"), { action: "signup", authProvider: "password" });
  assert.ok(session.get("expiresAt") > new Date());
});

test("a login's session says so", async () => {
  const user = await member();
  await Parse.User.logIn(user.getUsername(), "secret");
  const session = await Parse.Session.current();
  assert.deepEqual(session.get("createdWith"), { action: "login", authProvider: "password" });
});

test("one sees one's own sessions only", async () => {
  const ann = await member();
  const token = as(ann);
  await member();
  const found = await new Parse.Query(Parse.Session).find(token);
  assert.ok(found.length >= 1);
  assert.ok(found.every((s) => s.get("user").id === ann.id));
});

test("nobody sees sessions without signing in", async () => {
  await assert.rejects(new Parse.Query(Parse.Session).find());
});

test("the master key sees all sessions", async () => {
  const user = await member();
  assert.ok((await new Parse.Query(Parse.Session).equalTo("user", user).count(MASTER)) >= 1);
});

test("a destroyed session is signed out", async () => {
  const user = await member();
  const token = user.getSessionToken();
  const session = await Parse.Session.current();
  await session.destroy(as(user));
  await fails(Parse.User.me(token), Parse.Error.INVALID_SESSION_TOKEN);
});

test("a session takes keys of one's own", async () => {
  const user = await member();
  const session = await Parse.Session.current();
  await session.save({ device: "desk" }, as(user));
  assert.equal((await reread(session)).get("device"), "desk");
});

test("what the server put into a session stays", async () => {
  const user = await member();
  const session = await Parse.Session.current();
  const answer = await fetch(`${process.env.SERVER_URL}/sessions/${session.id}`, {
    method: "PUT",
    headers: { "X-Parse-Application-Id": "app", "X-Parse-Javascript-Key": "js", "X-Parse-Session-Token": user.getSessionToken(), "Content-Type": "application/json" },
    body: JSON.stringify({ createdWith: { action: "forged" } }),
  });
  assert.equal((await answer.json()).code, Parse.Error.INVALID_KEY_NAME);
});

test("sessions are revocable", async () => {
  await member();
  assert.equal(Parse.Session.isCurrentSessionRevocable(), true);
});

test("one may not read another's session", async () => {
  await member();
  const foreign = await Parse.Session.current();
  const bob = await member();
  await fails(reread(foreign, as(bob)), Parse.Error.OBJECT_NOT_FOUND);
});

test("anonymous users are users with a session", async () => {
  const user = await Parse.AnonymousUtils.logIn();
  assert.equal(Parse.AnonymousUtils.isLinked(user), true);
  assert.match(user.getSessionToken(), /^r:/);
  assert.ok(user.getUsername() === undefined || user.getUsername().length > 0);
});

test("an anonymous user's rows are hers", async () => {
  const user = await Parse.AnonymousUtils.logIn();
  const object = new Parse.Object(fresh(), { n: 1 });
  object.setACL(new Parse.ACL(user));
  await object.save();
  assert.equal((await reread(object, as(user))).get("n"), 1);
  await Parse.User.logOut();
  await fails(reread(object, {}), Parse.Error.OBJECT_NOT_FOUND);
});

test("an anonymous user takes a name and password, and keeps her id", async () => {
  const user = await Parse.AnonymousUtils.logIn();
  const id = user.id;
  const username = fresh("user");
  user.setUsername(username);
  user.setPassword("secret");
  await user.signUp();
  assert.equal(user.id, id);
  assert.equal((await Parse.User.logIn(username, "secret")).id, id);
});

test("the same anonymous id is the same user", async () => {
  const authData = { id: `${fresh("anon")}-0000` };
  const one = await Parse.User.logInWith("anonymous", { authData });
  const two = await Parse.User.logInWith("anonymous", { authData });
  assert.equal(one.id, two.id);
});

test("two anonymous sign-ins are two users", async () => {
  const one = await Parse.AnonymousUtils.logIn();
  const id = one.id;
  await Parse.User.logOut();
  const two = await Parse.AnonymousUtils.logIn();
  assert.notEqual(two.id, id);
});

test("linking an anonymous id to a user, and unlinking it", async () => {
  const user = await member();
  await Parse.AnonymousUtils.link(user);
  assert.equal(user._isLinked("anonymous"), true);
  const authData = (await reread(user)).get("authData");
  assert.ok(authData.anonymous.id);
  await user._unlinkFrom("anonymous");
  assert.equal(user._isLinked("anonymous"), false);
});

test("an anonymous id that another has is 208", async () => {
  const authData = { id: fresh("anon") };
  await Parse.User.logInWith("anonymous", { authData });
  await Parse.User.logOut();
  const user = await member();
  await fails(user.linkWith("anonymous", { authData }), Parse.Error.ACCOUNT_ALREADY_LINKED);
});

test("a provider that is not configured is refused", async () => {
  const provider = { authenticate: (o) => o.success(provider, {}), restoreAuthentication: () => true, getAuthType: () => "mystery", deauthenticate() {} };
  await assert.rejects(Parse.User.logInWith(provider, { authData: { id: "1", access_token: "x" } }), (e) => Number.isInteger(e.code));
});

test("authData is hidden from others", async () => {
  const acl = new Parse.ACL();
  acl.setPublicReadAccess(true);
  const user = await Parse.AnonymousUtils.logIn();
  user.setACL(acl);
  await user.save();
  const id = user.id;
  await member();
  Parse.Object._clearAllState();
  assert.equal((await new Parse.Query(Parse.User).get(id)).get("authData"), undefined);
});

test("the SDK's installation is saved under its own id, and changed by its own client", async () => {
  const current = await Parse.Installation.currentInstallation();
  await current.save({ deviceType: "ios", deviceToken: fresh("token"), channels: ["news"] });
  assert.ok(current.id);
  await current.save({ badge: 3 });
  const found = await new Parse.Query(Parse.Installation).equalTo("installationId", await Parse._getInstallationId()).first(MASTER);
  assert.equal(found.id, current.id);
  assert.deepEqual([found.get("badge"), found.get("channels")], [3, ["news"]]);
});

test("an installation posted again under its id is the same row", async () => {
  const installationId = `${fresh("inst")}-0001`;
  const [one, two] = [1, 2].map((badge) => new Parse.Object("_Installation", { installationId, deviceType: "ios", badge }));
  await one.save();
  await two.save();
  const found = await new Parse.Query(Parse.Installation).equalTo("installationId", installationId).find(MASTER);
  assert.deepEqual(found.map((o) => o.get("badge")), [2]);
});

test("clients may not search installations", async () => {
  await fails(new Parse.Query(Parse.Installation).find(), Parse.Error.OPERATION_FORBIDDEN);
});

test("an installation without a device type is refused: 135", async () => {
  const installation = new Parse.Object("_Installation", { installationId: fresh("inst") });
  await fails(installation.save(), 135);
});
