// The stock SDK, set up as an app's developer does it; PARSE_SDK names the package, SERVER_URL the server.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { beforeEach } from "node:test";

export const Parse = createRequire(import.meta.url)(process.env.PARSE_SDK ?? "parse/node");
Parse.initialize("app", "js", "master");
Parse.serverURL = process.env.SERVER_URL;
Parse.User.enableUnsafeCurrentUser();

beforeEach(async () => {
  await Parse.User.logOut().catch(() => {});
});

/** A name that no other test uses. */
export const fresh = (stem = "Thing") => stem + randomBytes(5).toString("hex");

/** An unsaved object of a class of its own, or of `className`. */
export const thing = (fields = {}, className = fresh()) => new Parse.Object(className, fields);

/** Saved objects of one new class, one for each record, in order. */
export async function rows(records, className = fresh()) {
  const made = records.map((fields) => new Parse.Object(className, fields));
  await Parse.Object.saveAll(made);
  return made;
}

/** The values of one key of what a query finds, sorted. */
export async function values(query, key, options) {
  const found = await query.find(options);
  return found.map((object) => object.get(key)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** A new user, signed up and signed in. */
export async function member(fields = {}) {
  return Parse.User.signUp(fresh("user"), "secret", fields);
}

/** The work must fail with this Parse code. */
export async function fails(work, code) {
  await assert.rejects(typeof work === "function" ? work() : work, (error) => {
    assert.equal(error.code, code, `${error.code} ${error.message}`);
    return true;
  });
}

/** The same object as the server has it now, read past every cache. */
export const reread = (object, options = { useMasterKey: true }) => new Parse.Query(object.className).get(object.id, options);

export const MASTER = { useMasterKey: true };
