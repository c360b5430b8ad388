// A small world through the stock SDK. The first argument says what to do, standard input holds what is known of it so far
// (ids, tokens, passwords); what is known afterwards, or what was seen, goes to standard output. Both as JSON.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const Parse = createRequire(new URL("../compat/", import.meta.url))("parse/node");
Parse.initialize("app", "js", "master");
Parse.serverURL = process.env.SERVER_URL;
const MASTER = { useMasterKey: true };
const LONG = "a password of more than seventy-two bytes, of which bcrypt looks at no more than those: ".repeat(2);
const CLASSES = ["Everything", "Friend", "Locked", "Veiled", "_Role", "_User", "_Installation", "_Session"];

const as = (who) => ({ sessionToken: who.token });
const acl = (fill) => { const made = new Parse.ACL(); fill(made); return made; };
const signUp = async (username, password, fields = {}) => {
  const user = await new Parse.User({ username, password, ...fields }).signUp();
  return { id: user.id, username, password, token: user.getSessionToken() };
};
const anonymous = async (id) => {
  const user = await Parse.User.logInWith("anonymous", { authData: { id } });
  return { id: user.id, anonymous: id, token: user.getSessionToken() };
};
const pointer = (className, id) => Parse.Object.fromJSON({ className, objectId: id });
const role = async (name, people, inner) => {
  const made = new Parse.Role(name, acl((a) => a.setPublicReadAccess(true)));
  made.getUsers().add(people.map((who) => pointer("_User", who.id)));
  if (inner) made.getRoles().add(inner);
  return made.save(null, MASTER);
};
const everything = async (owner, friends, number) => {
  const file = await new Parse.File("note.txt", { base64: Buffer.from(`file ${number}`).toString("base64") }, "text/plain").save(MASTER);
  const made = new Parse.Object("Everything", {
    text: `naïve – 日本 ${number}`, whole: number, half: number + 0.5, large: 2 ** 52 + number, yes: true, no: false,
    when: new Date(Date.UTC(2026, 2, 4, 9, 5, 0, 123)), long_ago: new Date(-62135596800000),
    object: { deep: { list: [1, "two", null, { three: 3.5 }], when: new Date(Date.UTC(2020, 1, 29)) }, empty: {} },
    list: [1, 1.5, "text", true, null, { key: "value" }, [1, [2]], new Date(0), friends[0].toPointer()],
    nothing: null, bytes: { __type: "Bytes", base64: "AAECAwT/" }, file,
    place: new Parse.GeoPoint(48.86, 2.35), area: new Parse.Polygon([[0, 0], [0, 1], [1, 1], [1, 0]]),
    friend: friends[0], owner: pointer("_User", owner.id),
  });
  made.relation("friends").add(friends);
  made.setACL(acl((a) => { a.setPublicReadAccess(true); a.setWriteAccess(owner.id, true); a.setRoleWriteAccess("team", true); }));
  await made.save(null, as(owner));
  return made.id;
};
const schema = async (name, fill) => { const made = new Parse.Schema(name); fill(made); await made.save(); };

const jobs = {
  /** Everything that an app may hold, made from nothing. */
  async make() {
    const ann = await signUp("ann", "correct horse", { email: "ann@example.org", city: "Paris" });
    const bob = await signUp("bob", LONG, { email: "bob@example.org" });
    const cid = await signUp("cid", "pass of cid");
    const eve = await anonymous("11111111-2222-3333-4444-555555555555");
    const inner = await role("inner", [cid]);
    await role("team", [bob], inner);
    await schema("Locked", (s) => s.addString("text").setCLP({
      find: { "role:team": true }, get: { "role:team": true }, count: {}, create: { requiresAuthentication: true },
      update: { "role:team": true }, delete: {}, addField: {}, protectedFields: { "*": [] },
    }));
    const open = { "*": true };
    await schema("Veiled", (s) => s.addString("shown").addString("secret").setCLP({
      find: open, get: open, count: open, create: open, update: open, delete: open, addField: open,
      protectedFields: { "*": ["secret"], "role:team": [] },
    }));
    const friends = [1, 2, 3].map((n) => new Parse.Object("Friend", { name: `friend ${n}` }));
    await Parse.Object.saveAll(friends);
    const things = [await everything(ann, friends.slice(0, 2), 1), await everything(bob, friends, 2)];
    await new Parse.Object("Locked", { text: "for the team" }).save(null, as(ann));
    await new Parse.Object("Veiled", { shown: "a", secret: "b" }).save(null, MASTER);
    const own = new Parse.Object("Friend", { name: "seen by ann" });
    await own.setACL(new Parse.ACL(pointer("_User", ann.id))).save(null, as(ann));
    await Parse.Config.save({ greeting: "hello", hidden: 7, since: new Date(0), list: [1, { a: null }] }, { hidden: true });
    await new Parse.Installation({ deviceType: "ios", installationId: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee", deviceToken: "f".repeat(64), channels: ["news"] }).save(null, MASTER);
    return { people: { ann, bob, cid, eve }, things, friends: friends.map((f) => f.id) };
  },

  /** What changes while this server is in charge: new people, objects and columns, a new password, a session that ends. */
  async change(state) {
    const { ann, bob, cid } = state.people;
    const dan = await signUp("dan", "pass of dan", { email: "dan@example.org" });
    const fay = await anonymous("99999999-2222-3333-4444-555555555555");
    const outer = await role("outer", [dan]);
    const team = await new Parse.Query(Parse.Role).equalTo("name", "team").first(MASTER);
    team.getUsers().add(pointer("_User", dan.id));
    team.getRoles().add(outer);
    await team.save(null, MASTER);
    const friends = state.friends.map((id) => pointer("Friend", id));
    state.things.push(await everything(dan, friends.slice(1), 3));
    const first = pointer("Everything", state.things[0]);
    first.increment("whole", 5);
    first.addUnique("list", "more");
    first.unset("yes");
    first.set("object.deep.added", 1);
    first.relation("friends").remove(friends[0]);
    first.relation("friends").add(friends[2]);
    await first.save(null, as(ann));
    await pointer("Friend", state.friends[1]).save({ fresh: new Parse.GeoPoint(1, 2) }, MASTER);
    await new Parse.Object("Locked", { text: "by dan" }).save(null, as(dan));
    await new Parse.Object("Later", { owner: pointer("_User", dan.id), n: 1 }).save(null, MASTER);
    const user = await Parse.User.me(bob.token);
    user.set("password", "new pass of bob");
    await user.save(null, as(bob));
    Object.assign(bob, { password: "new pass of bob", token: (await Parse.User.logIn("bob", "new pass of bob")).getSessionToken() });
    await Parse.User.become(cid.token);
    await Parse.User.logOut();
    Object.assign(cid, { ended: cid.token, token: (await Parse.User.logIn("cid", cid.password)).getSessionToken() });
    await Parse.Config.save({ greeting: "good day", added: { place: new Parse.GeoPoint(1, 2) } }, { added: false });
    Object.assign(state.people, { dan, fay });
    return state;
  },

  /** All of it, as each person, the public and the master key see it. */
  async look(state) {
    const seen = {};
    const viewers = { public: {}, master: MASTER, ...Object.fromEntries(Object.entries(state.people).map(([name, who]) => [name, as(who)])) };
    for (const [viewer, options] of Object.entries(viewers)) {
      for (const className of [...CLASSES, "Later"]) {
        seen[`${viewer} ${className}`] = await asked(async () => {
          const query = new Parse.Query(className).ascending("objectId").limit(1000);
          return (await query.find(options)).map(shown);
        });
      }
      seen[`${viewer} config`] = await asked(async () => (await Parse.Config.get(options)).attributes);
      for (const id of state.things) {
        const thing = pointer("Everything", id);
        seen[`${viewer} friends ${id}`] = await asked(async () => (await thing.relation("friends").query().ascending("name").find(options)).map(shown));
        seen[`${viewer} includes ${id}`] = await asked(async () => shown(await new Parse.Query("Everything").include("friend", "owner").get(id, options)));
      }
    }
    const { public: _, master: __, ...people } = viewers;
    for (const [name, options] of Object.entries(people)) seen[`me ${name}`] = await asked(async () => shown(await Parse.User.me(options.sessionToken)));
    for (const found of await new Parse.Query(Parse.Role).ascending("name").find(MASTER)) {
      for (const part of ["users", "roles"]) seen[`${found.getName()} ${part}`] = (await found.relation(part).query().ascending("objectId").find(MASTER)).map((one) => one.id);
    }
    for (const thing of await new Parse.Query("Everything").ascending("objectId").find(MASTER)) {
      seen[`contents ${thing.id}`] = await (await fetch(thing.get("file").url())).text();
    }
    for (const { className, fields, classLevelPermissions } of await Parse.Schema.all()) {
      if ([...CLASSES, "Later"].includes(className)) seen[`schema ${className}`] = { fields, classLevelPermissions };
    }
    return seen;
  },

  /** Signs everybody in by name and password, or as the anonymous user that she was; the ids that came of it. */
  async enter(state) {
    const ids = {};
    for (const [name, who] of Object.entries(state.people)) {
      ids[name] = who.anonymous ? (await anonymous(who.anonymous)).id : (await Parse.User.logIn(who.username, who.password)).id;
      ids[`${name}, wrong`] = who.anonymous ? 101 : await asked(async () => (await Parse.User.logIn(who.username, "wrong")).id);
    }
    ids.ended = state.people.cid.ended ? await asked(async () => (await Parse.User.me(state.people.cid.ended)).id) : 209;
    return ids;
  },

  /** What each person may change: the error's code, or `true`. */
  async write(state) {
    const may = {};
    for (const [name, who] of Object.entries(state.people)) {
      for (const id of state.things) may[`${name} ${id}`] = await asked(async () => Boolean(await pointer("Everything", id).save({ touched: name }, as(who))));
    }
    return may;
  },
};

/** What the work gives, or the code of its error. */
async function asked(work) {
  try {
    return await work();
  } catch (error) {
    return error.code ?? String(error);
  }
}

/** An object as JSON. A token is shown to its own session only by one of the two servers. */
function shown(object) {
  const { sessionToken: _, ...rest } = object.toJSON();
  return rest;
}

Parse.User.enableUnsafeCurrentUser();
const [, , job] = process.argv;
process.stdout.write(JSON.stringify(await jobs[job](JSON.parse((await text(process.stdin)) || "{}"))));
