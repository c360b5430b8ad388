import assert from "node:assert/strict";
import { test } from "node:test";
import { MASTER, Parse, fails, fresh, rows, thing, values } from "./setup.mjs";

const numbers = (count = 10) => rows(Array.from({ length: count }, (_, n) => ({ n })));
const query = (made) => new Parse.Query(made[0].className);

test("a class that does not exist has nothing in it", async () => {
  assert.deepEqual(await new Parse.Query(fresh()).find(), []);
  assert.equal(await new Parse.Query(fresh()).count(), 0);
});

test("get by id, and 101 for an id that is not there", async () => {
  const made = await numbers(1);
  assert.equal((await query(made).get(made[0].id)).get("n"), 0);
  await fails(query(made).get("nothing"), Parse.Error.OBJECT_NOT_FOUND);
});

test("first gives one, or undefined", async () => {
  const made = await numbers(3);
  assert.equal((await query(made).descending("n").first()).get("n"), 2);
  assert.equal(await query(made).equalTo("n", 99).first(), undefined);
});

test("equalTo a number, a text, a boolean, null", async () => {
  const made = await rows([{ k: 1, n: 1, s: "a", b: true, z: null }, { k: 2, n: 2, s: "b", b: false, z: 1 }, { k: 3 }]);
  assert.deepEqual(await values(query(made).equalTo("n", 1), "k"), [1]);
  assert.deepEqual(await values(query(made).equalTo("s", "b"), "k"), [2]);
  assert.deepEqual(await values(query(made).equalTo("b", false), "k"), [2]);
  assert.deepEqual(await values(query(made).equalTo("z", null), "k"), [1, 3]);
});

test("equalTo finds an element of a list", async () => {
  const made = await rows([{ n: 1, list: [1, 2] }, { n: 2, list: [3] }]);
  assert.deepEqual(await values(query(made).equalTo("list", 2), "n"), [1]);
});

test("equalTo a date and a pointer", async () => {
  const when = new Date(1500000000000);
  const to = await thing().save();
  const made = await rows([{ n: 1, when, to }, { n: 2, when: new Date(0) }]);
  assert.deepEqual(await values(query(made).equalTo("when", when), "n"), [1]);
  assert.deepEqual(await values(query(made).equalTo("to", to), "n"), [1]);
});

test("equalTo several keys at once", async () => {
  const made = await rows([{ a: 1, b: 1 }, { a: 1, b: 2 }]);
  assert.deepEqual(await values(query(made).equalTo({ a: 1, b: 2 }), "b"), [2]);
});

test("notEqualTo leaves out equals and keeps objects without the key", async () => {
  const made = await rows([{ k: 1, n: 1 }, { k: 2, n: 2 }, { k: 3 }]);
  assert.deepEqual(await values(query(made).notEqualTo("n", 1), "k"), [2, 3]);
});

test("notEqualTo a pointer", async () => {
  const [a, b] = await numbers(2);
  const made = await rows([{ k: 1, at: a }, { k: 2, at: b }]);
  assert.deepEqual(await values(query(made).notEqualTo("at", a), "k"), [2]);
});

test("lessThan, lessThanOrEqualTo, greaterThan, greaterThanOrEqualTo", async () => {
  const made = await numbers(4);
  assert.deepEqual(await values(query(made).lessThan("n", 2), "n"), [0, 1]);
  assert.deepEqual(await values(query(made).lessThanOrEqualTo("n", 2), "n"), [0, 1, 2]);
  assert.deepEqual(await values(query(made).greaterThan("n", 2), "n"), [3]);
  assert.deepEqual(await values(query(made).greaterThanOrEqualTo("n", 2), "n"), [2, 3]);
});

test("a range of dates", async () => {
  const made = await rows([1, 2, 3, 4].map((n) => ({ n, when: new Date(n * 1000) })));
  const found = query(made).greaterThan("when", new Date(1000)).lessThan("when", new Date(4000));
  assert.deepEqual(await values(found, "n"), [2, 3]);
});

test("a range of texts", async () => {
  const made = await rows(["apple", "banana", "cherry"].map((s) => ({ s })));
  assert.deepEqual(await values(query(made).greaterThan("s", "b"), "s"), ["banana", "cherry"]);
});

test("ranges by createdAt and updatedAt", async () => {
  const made = await numbers(3);
  const last = made[2].createdAt;
  assert.equal(await query(made).lessThanOrEqualTo("createdAt", last).count(), 3);
  assert.equal(await query(made).greaterThan("updatedAt", new Date(Date.now() + 60000)).count(), 0);
});

test("containedIn and notContainedIn", async () => {
  const made = await numbers(5);
  assert.deepEqual(await values(query(made).containedIn("n", [1, 3, 77]), "n"), [1, 3]);
  assert.deepEqual(await values(query(made).notContainedIn("n", [1, 3]), "n"), [0, 2, 4]);
  assert.deepEqual(await values(query(made).containedIn("n", []), "n"), []);
});

test("containedIn object ids, and notContainedIn", async () => {
  const made = await numbers(3);
  assert.deepEqual(await values(query(made).containedIn("objectId", [made[0].id, made[2].id]), "n"), [0, 2]);
  assert.deepEqual(await values(query(made).notContainedIn("objectId", [made[0].id]), "n"), [1, 2]);
});

test("containedIn pointers", async () => {
  const [a, b, c] = await numbers(3);
  const made = await rows([{ k: 1, at: a }, { k: 2, at: b }, { k: 3, at: c }]);
  assert.deepEqual(await values(query(made).containedIn("at", [a, c]), "k"), [1, 3]);
});

test("containsAll and containedBy", async () => {
  const made = await rows([{ k: 1, list: [1, 2, 3] }, { k: 2, list: [1] }, { k: 3, list: [2, 4] }]);
  assert.deepEqual(await values(query(made).containsAll("list", [1, 2]), "k"), [1]);
  assert.deepEqual(await values(query(made).containedBy("list", [1, 2, 3]), "k"), [1, 2]);
});

test("containsAll of pointers and of dates", async () => {
  const [a, b] = await numbers(2);
  const when = new Date(9000);
  const made = await rows([{ k: 1, list: [a, b], dates: [when] }, { k: 2, list: [a], dates: [new Date(1)] }]);
  assert.deepEqual(await values(query(made).containsAll("list", [a, b]), "k"), [1]);
  assert.deepEqual(await values(query(made).containsAll("dates", [when]), "k"), [1]);
});

test("containsAllStartingWith", async () => {
  const made = await rows([{ k: 1, list: ["the", "brown", "lazy"] }, { k: 2, list: ["the", "fox"] }, { k: 3, list: ["over", "lazy"] }]);
  assert.deepEqual(await values(query(made).containsAllStartingWith("list", ["th", "la"]), "k"), [1]);
  assert.deepEqual(await values(query(made).containsAllStartingWith("list", ["th"]), "k"), [1, 2]);
});

test("exists and doesNotExist", async () => {
  const made = await rows([{ k: 1, a: 1 }, { k: 2 }]);
  assert.deepEqual(await values(query(made).exists("a"), "k"), [1]);
  assert.deepEqual(await values(query(made).doesNotExist("a"), "k"), [2]);
});

test("startsWith, endsWith and contains take every character literally", async () => {
  const made = await rows(["a.b", "axb", "x(a.b)", "\\Qa\\E", "end$"].map((s) => ({ s })));
  assert.deepEqual(await values(query(made).startsWith("s", "a."), "s"), ["a.b"]);
  assert.deepEqual(await values(query(made).contains("s", "(a.b)"), "s"), ["x(a.b)"]);
  assert.deepEqual(await values(query(made).endsWith("s", "d$"), "s"), ["end$"]);
  assert.deepEqual(await values(query(made).startsWith("s", "\\Qa\\E"), "s"), ["\\Qa\\E"]);
});

test("startsWith tells upper from lower case", async () => {
  const made = await rows([{ s: "Abc" }, { s: "abc" }]);
  assert.deepEqual(await values(query(made).startsWith("s", "a"), "s"), ["abc"]);
});

test("matches takes a RegExp with its flags, and modifiers", async () => {
  const made = await rows(["Hello", "hello", "HELP\nhello"].map((s) => ({ s })));
  assert.deepEqual(await values(query(made).matches("s", /^hello$/i), "s"), ["Hello", "hello"]);
  assert.deepEqual(await values(query(made).matches("s", "^hello$", "m"), "s"), ["HELP\nhello", "hello"]);
  assert.deepEqual(await values(query(made).matches("s", "^help", "im"), "s"), ["HELP\nhello"]);
});

test("matches understands classes, groups and lookaheads", async () => {
  const made = await rows(["cat1", "cat22", "dog3"].map((s) => ({ s })));
  assert.deepEqual(await values(query(made).matches("s", /^(cat|cow)\d{2}$/), "s"), ["cat22"]);
  assert.deepEqual(await values(query(made).matches("s", /^(?!cat)/), "s"), ["dog3"]);
});

test("fullText finds words, and sorts by score", async () => {
  const made = await rows(["coffee shop", "the coffee coffee house", "tea room"].map((subject) => ({ subject })));
  const found = await query(made).fullText("subject", "coffee").find();
  assert.equal(found.length, 2);
  const sorted = await query(made).fullText("subject", "coffee").ascending("$score").select("$score").find();
  assert.equal(sorted.length, 2);
  assert.ok(sorted.every((object) => object.get("score") > 0));
});

test("ascending and descending order, by two keys", async () => {
  const made = await rows([{ a: 1, b: 1 }, { a: 2, b: 2 }, { a: 1, b: 3 }]);
  const found = await query(made).ascending("a").addDescending("b").find();
  assert.deepEqual(found.map((o) => o.get("b")), [3, 1, 2]);
  const list = await query(made).descending(["a", "b"]).find();
  assert.deepEqual(list.map((o) => o.get("b")), [2, 3, 1]);
});

test("addAscending adds to the order, ascending replaces it", async () => {
  const made = await rows([{ a: 1, b: 2 }, { a: 1, b: 1 }, { a: 0, b: 9 }]);
  const found = await query(made).descending("a").addAscending("b").find();
  assert.deepEqual(found.map((o) => o.get("b")), [1, 2, 9]);
  const replaced = await query(made).descending("a").ascending("b").find();
  assert.deepEqual(replaced.map((o) => o.get("b")), [1, 2, 9]);
});

test("objects without the key sort first", async () => {
  const made = await rows([{ k: 1, n: 5 }, { k: 2 }]);
  assert.deepEqual((await query(made).ascending("n").find()).map((o) => o.get("k")), [2, 1]);
});

test("limit, skip, and both", async () => {
  const made = await numbers(6);
  assert.equal((await query(made).limit(2).find()).length, 2);
  assert.deepEqual((await query(made).ascending("n").skip(4).find()).map((o) => o.get("n")), [4, 5]);
  assert.deepEqual((await query(made).ascending("n").skip(1).limit(2).find()).map((o) => o.get("n")), [1, 2]);
});

test("limit 0 with withCount counts without results", async () => {
  const made = await numbers(3);
  const { results, count } = await query(made).withCount().limit(0).find();
  assert.deepEqual([results.length, count], [0, 3]);
});

test("a find gives 100 objects unless told otherwise", async () => {
  const made = await numbers(105);
  assert.equal((await query(made).find()).length, 100);
  assert.equal((await query(made).limit(1000).find()).length, 105);
});

test("count respects constraints, and not limit or skip", async () => {
  const made = await numbers(5);
  assert.equal(await query(made).greaterThan("n", 1).count(), 3);
  assert.equal(await query(made).limit(1).count(), 5);
});

test("withCount gives results and count of all", async () => {
  const made = await numbers(4);
  const { results, count } = await query(made).withCount().limit(1).find();
  assert.deepEqual([results.length, count], [1, 4]);
});

test("select brings the named keys only", async () => {
  const [made] = await rows([{ a: 1, b: 2, c: 3 }]);
  Parse.Object._clearAllState();
  const found = await new Parse.Query(made.className).select("a", "b").first();
  const json = found.toJSON();
  assert.deepEqual([json.a, json.b, json.c], [1, 2, undefined]);
  assert.ok(found.id && found.createdAt);
});

test("exclude leaves the named keys out", async () => {
  const [made] = await rows([{ a: 1, b: 2 }]);
  Parse.Object._clearAllState();
  const found = await new Parse.Query(made.className).exclude("a").first();
  assert.deepEqual([found.get("a"), found.get("b")], [undefined, 2]);
});

test("select reaches into maps", async () => {
  const [made] = await rows([{ map: { a: 1, b: 2 }, c: 3 }]);
  Parse.Object._clearAllState();
  const found = await new Parse.Query(made.className).select("map.a").first();
  assert.equal(found.get("map").a, 1);
  assert.equal(found.get("c"), undefined);
});

test("dotted keys ask into maps", async () => {
  const made = await rows([{ k: 1, map: { a: { b: 5 } } }, { k: 2, map: { a: { b: 6 } } }]);
  assert.deepEqual(await values(query(made).equalTo("map.a.b", 6), "k"), [2]);
  assert.deepEqual(await values(query(made).greaterThan("map.a.b", 1).descending("map.a.b"), "k"), [1, 2]);
});

test("or, and, nor combine queries", async () => {
  const made = await numbers(6);
  const low = query(made).lessThan("n", 2);
  const high = query(made).greaterThan("n", 4);
  assert.deepEqual(await values(Parse.Query.or(low, high), "n"), [0, 1, 5]);
  assert.deepEqual(await values(Parse.Query.nor(low, high), "n"), [2, 3, 4]);
  const odd = query(made).containedIn("n", [1, 3, 5]);
  assert.deepEqual(await values(Parse.Query.and(odd, high), "n"), [5]);
});

test("or of or, and a condition beside it", async () => {
  const made = await numbers(6);
  const is = (n) => query(made).equalTo("n", n);
  const nested = Parse.Query.or(Parse.Query.or(is(1), is(2)), is(3)).notEqualTo("n", 2);
  assert.deepEqual(await values(nested, "n"), [1, 3]);
});

test("or of queries over different classes is refused by the SDK", () => {
  assert.throws(() => Parse.Query.or(new Parse.Query("One"), new Parse.Query("Two")));
});

test("matchesQuery and doesNotMatchQuery look at the object behind a pointer", async () => {
  const [a, b] = await rows([{ hot: true }, { hot: false }]);
  const made = await rows([{ k: 1, at: a }, { k: 2, at: b }]);
  const inner = () => new Parse.Query(a.className).equalTo("hot", true);
  assert.deepEqual(await values(query(made).matchesQuery("at", inner()), "k"), [1]);
  assert.deepEqual(await values(query(made).doesNotMatchQuery("at", inner()), "k"), [2]);
});

test("matchesQuery nests", async () => {
  const [deep] = await rows([{ name: "x" }]);
  const [mid] = await rows([{ deep }]);
  const made = await rows([{ k: 1, mid }, { k: 2 }]);
  const inner = new Parse.Query(mid.className).matchesQuery("deep", new Parse.Query(deep.className).equalTo("name", "x"));
  assert.deepEqual(await values(query(made).matchesQuery("mid", inner), "k"), [1]);
});

test("matchesKeyInQuery and doesNotMatchKeyInQuery compare keys of two classes", async () => {
  const [team] = await rows([{ city: "Rome", winning: true }, { city: "Oslo", winning: false }]);
  const made = await rows([{ k: 1, home: "Rome" }, { k: 2, home: "Oslo" }, { k: 3, home: "Bonn" }]);
  const winners = () => new Parse.Query(team.className).equalTo("winning", true);
  assert.deepEqual(await values(query(made).matchesKeyInQuery("home", "city", winners()), "k"), [1]);
  assert.deepEqual(await values(query(made).doesNotMatchKeyInQuery("home", "city", winners()), "k"), [2, 3]);
});

test("each visits every object", async () => {
  const made = await numbers(12);
  const seen = [];
  await query(made).each((object) => { seen.push(object.get("n")); }, { batchSize: 5 });
  assert.deepEqual(seen.sort((a, b) => a - b), made.map((_, i) => i));
});

test("eachBatch visits in batches", async () => {
  const made = await numbers(7);
  const sizes = [];
  await query(made).eachBatch((batch) => { sizes.push(batch.length); }, { batchSize: 3 });
  assert.deepEqual(sizes, [3, 3, 1]);
});

test("each with an order or a limit is refused by the SDK", async () => {
  const made = await numbers(1);
  await assert.rejects(query(made).limit(3).each(() => {}));
  await assert.rejects(query(made).ascending("n").each(() => {}));
});

test("map, reduce and filter run over all results", async () => {
  const made = await numbers(5);
  assert.deepEqual((await query(made).map((o) => o.get("n") * 2)).sort((a, b) => a - b), [0, 2, 4, 6, 8]);
  assert.equal(await query(made).reduce((sum, o) => sum + o.get("n"), 0), 10);
  assert.deepEqual((await query(made).filter((o) => o.get("n") > 3)).map((o) => o.get("n")), [4]);
});

test("findAll gives more than a page", async () => {
  const made = await numbers(130);
  assert.equal((await query(made).findAll()).length, 130);
});

test("a query's JSON makes the same query", async () => {
  const made = await numbers(5);
  const json = query(made).greaterThan("n", 2).descending("n").toJSON();
  const again = Parse.Query.fromJSON(made[0].className, json);
  assert.deepEqual((await again.find()).map((o) => o.get("n")), [4, 3]);
});

test("find with json gives plain records", async () => {
  const made = await numbers(1);
  const [plain] = await query(made).find({ json: true });
  assert.equal(plain.objectId, made[0].id);
  assert.equal(plain instanceof Parse.Object, false);
});

test("explain tells a plan to the master key", async () => {
  const made = await numbers(1);
  const plan = await query(made).explain().find(MASTER);
  assert.ok(plan);
});

test("explain is refused to clients", async () => {
  const made = await numbers(1);
  await fails(query(made).explain().find(), Parse.Error.INVALID_QUERY);
});

test("hint names an index for the master key", async () => {
  const made = await numbers(2);
  assert.equal((await query(made).hint("_id_").find(MASTER)).length, 2);
});

test("a comment beside a query changes nothing", async () => {
  const made = await numbers(2);
  assert.equal((await query(made).comment("from the test").find()).length, 2);
});

test("readPreference beside a query changes nothing", async () => {
  const made = await numbers(2);
  assert.equal((await query(made).readPreference("SECONDARY").find()).length, 2);
});

test("an unknown constraint is refused", async () => {
  const made = await numbers(1);
  await fails(query(made)._addCondition("n", "$mystery", 1).find(), Parse.Error.INVALID_JSON);
});

test("a key that starts with a dollar sign is 105", async () => {
  const made = await numbers(1);
  await fails(query(made).equalTo("$where", "1").find(), Parse.Error.INVALID_KEY_NAME);
});

test("a query on a key that no object has finds nothing", async () => {
  const made = await numbers(2);
  assert.equal((await query(made).equalTo("never", 1).find()).length, 0);
});

test("a type that cannot match finds nothing", async () => {
  const made = await numbers(2);
  assert.equal((await query(made).equalTo("n", "0").find()).length, 0);
});

test("cancel ends a running query without an error", async () => {
  const made = await numbers(1);
  const running = query(made);
  let found;
  running.find().then((rows) => { found = rows; });
  running.cancel();
  assert.equal((await query(made).find()).length, 1);
  assert.equal(found?.length ?? 0, 0);
});

test("an object inside an object is equal as a whole", async () => {
  const made = await rows([{ o: { in: { a: 1 } } }, { o: { in: { a: 2 } } }]);
  assert.deepEqual((await query(made).equalTo("o.in", { a: 1 }).find()).map((o) => o.id), [made[0].id]);
});

test("a pipeline joins by a pointer's stored form", async () => {
  const targets = await rows([{ value: 1 }, { value: 2 }]);
  const made = await rows(targets.map((target) => ({ target })));
  const name = targets[0].className;
  const results = await query(made).aggregate([
    { $project: { id: { $substr: ["$_p_target", name.length + 1, -1] } } },
    { $lookup: { from: name, localField: "id", foreignField: "_id", as: "joined" } },
    { $unwind: { path: "$joined" } },
    { $match: { "joined.value": 2 } },
  ]);
  assert.deepEqual(results.map((row) => row.objectId), [made[1].id]);
});

test("a pipeline shows and hides keys inside lists and objects", async () => {
  const made = await rows([{ l: [{ a: 1, b: 2 }, { a: 3, b: 4 }], o: { a: 1, b: 2 } }]);
  const [shown] = await query(made).aggregate([{ $project: { _id: 0, "l.a": 1, "o.b": 1 } }]);
  assert.deepEqual(shown, { l: [{ a: 1 }, { a: 3 }], o: { b: 2 } });
  const [hidden] = await query(made).aggregate([{ $project: { l: 0, "o.a": 0, createdAt: 0, updatedAt: 0 } }]);
  assert.deepEqual(hidden, { objectId: made[0].id, o: { b: 2 } });
});

test("a pipeline counts by ranges", async () => {
  const made = await rows([{ n: 1 }, { n: 12 }, { n: 14 }, { n: 99 }]);
  const pipeline = [{ $bucket: { groupBy: "$n", boundaries: [0, 10, 20], default: "more", output: { count: { $sum: 1 } } } }];
  assert.deepEqual(await query(made).aggregate(pipeline), [
    { objectId: 0, count: 1 }, { objectId: 10, count: 2 }, { objectId: "more", count: 1 },
  ]);
});

test("a read preference that does not exist is refused", async () => {
  const asked = new Parse.Query(fresh()).readPreference("NOWHERE");
  await fails(asked.find(), Parse.Error.INVALID_QUERY);
});
