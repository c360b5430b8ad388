import assert from "node:assert/strict";
import { test } from "node:test";
import { Parse, fails, reread, rows, thing, values } from "./setup.mjs";

const CITIES = [["Sacramento", 38.52, -121.5], ["Honolulu", 21.35, -157.93], ["SanFrancisco", 37.75, -122.68]];
const cities = () => rows(CITIES.map(([name, latitude, longitude]) => ({ name, at: new Parse.GeoPoint(latitude, longitude) })));
const query = (made) => new Parse.Query(made[0].className);
const names = async (asked) => (await asked.find()).map((o) => o.get("name"));
const SFO = new Parse.GeoPoint(37.6189722, -122.3748889);

test("near sorts by distance, nearest first", async () => {
  assert.deepEqual(await names(query(await cities()).near("at", SFO)), ["SanFrancisco", "Sacramento", "Honolulu"]);
});

test("near with a limit gives the nearest", async () => {
  assert.deepEqual(await names(query(await cities()).near("at", SFO).limit(1)), ["SanFrancisco"]);
});

test("withinMiles, withinKilometers and withinRadians bound the distance", async () => {
  const made = await cities();
  assert.deepEqual(await names(query(made).withinMiles("at", SFO, 110)), ["SanFrancisco", "Sacramento"]);
  assert.deepEqual(await names(query(made).withinMiles("at", SFO, 10)), []);
  assert.deepEqual(await names(query(made).withinKilometers("at", SFO, 180)), ["SanFrancisco", "Sacramento"]);
  assert.deepEqual(await names(query(made).withinRadians("at", SFO, 0.01)), ["SanFrancisco"]);
});

test("unsorted withinMiles finds the same", async () => {
  assert.deepEqual((await names(query(await cities()).withinMiles("at", SFO, 110, false))).sort(), ["Sacramento", "SanFrancisco"]);
});

test("unsorted withinKilometers with an order sorts by it", async () => {
  const found = query(await cities()).withinKilometers("at", SFO, 4000, false).ascending("name");
  assert.deepEqual(await names(found), ["Honolulu", "Sacramento", "SanFrancisco"]);
});

test("withinGeoBox finds what lies in the box", async () => {
  const made = await cities();
  const found = query(made).withinGeoBox("at", new Parse.GeoPoint(37, -123), new Parse.GeoPoint(39, -121));
  assert.deepEqual(await values(found, "name"), ["Sacramento", "SanFrancisco"]);
});

test("withinPolygon finds points inside, given as points or as a polygon", async () => {
  const made = await rows([[1.5, 1.5], [2, 8], [20, 20]].map(([a, b], k) => ({ k, at: new Parse.GeoPoint(a, b) })));
  const ring = [[0, 0], [0, 10], [10, 10], [10, 0]];
  assert.deepEqual(await values(query(made).withinPolygon("at", ring.map((p) => new Parse.GeoPoint(p))), "k"), [0, 1]);
  assert.deepEqual(await values(query(made).withinPolygon("at", ring), "k"), [0, 1]);
});

test("polygonContains finds polygons around a point", async () => {
  const made = await rows([
    { k: 1, area: new Parse.Polygon([[0, 0], [0, 1], [1, 1], [1, 0]]) },
    { k: 2, area: new Parse.Polygon([[0, 0], [0, 20], [20, 20], [20, 0]]) },
    { k: 3, area: new Parse.Polygon([[30, 30], [30, 40], [40, 40], [40, 30]]) },
  ]);
  assert.deepEqual(await values(query(made).polygonContains("area", new Parse.GeoPoint(0.5, 0.5)), "k"), [1, 2]);
  assert.deepEqual(await values(query(made).polygonContains("area", new Parse.GeoPoint(10, 10)), "k"), [2]);
});

test("a polygon can be looked up by equality", async () => {
  const area = new Parse.Polygon([[0, 0], [0, 1], [1, 1], [1, 0]]);
  const made = await rows([{ k: 1, area }, { k: 2, area: new Parse.Polygon([[5, 5], [5, 6], [6, 6]]) }]);
  assert.deepEqual(await values(query(made).equalTo("area", area), "k"), [1]);
});

test("a polygon of fewer than three points is refused", async () => {
  const object = thing();
  await assert.rejects(async () => object.save({ area: { __type: "Polygon", coordinates: [[0, 0], [1, 1]] } }));
});

test("a polygon in the SDK knows what it contains", () => {
  const area = new Parse.Polygon([[0, 0], [0, 10], [10, 10], [10, 0]]);
  assert.equal(area.containsPoint(new Parse.GeoPoint(5, 5)), true);
  assert.equal(area.containsPoint(new Parse.GeoPoint(50, 5)), false);
});

test("one class has one geo point", async () => {
  const object = await thing({ at: new Parse.GeoPoint(1, 1) }).save();
  await fails(object.save({ other: new Parse.GeoPoint(2, 2) }), Parse.Error.INCORRECT_TYPE);
});

test("a geo point is replaced by an update", async () => {
  const object = await thing({ at: new Parse.GeoPoint(1, 1) }).save();
  await object.save({ at: new Parse.GeoPoint(-2, 3) });
  assert.ok((await reread(object)).get("at").equals(new Parse.GeoPoint(-2, 3)));
});

test("near across the date line and at the poles", async () => {
  const made = await rows([[0, 179.5], [0, -179.5], [89.9, 0], [0, 0]].map(([a, b], name) => ({ name, at: new Parse.GeoPoint(a, b) })));
  assert.deepEqual((await names(query(made).withinKilometers("at", new Parse.GeoPoint(0, 180), 100))).sort(), [0, 1]);
  assert.deepEqual(await names(query(made).withinKilometers("at", new Parse.GeoPoint(90, 120), 100)), [2]);
});

test("geo conditions go with others", async () => {
  const made = await cities();
  assert.deepEqual(await names(query(made).near("at", SFO).notEqualTo("name", "SanFrancisco")), ["Sacramento", "Honolulu"]);
});

test("distance helpers agree with the server's bound", async () => {
  const [made] = await rows([{ name: "x", at: new Parse.GeoPoint(10, 10) }]);
  const centre = new Parse.GeoPoint(11, 11);
  const km = centre.kilometersTo(made.get("at"));
  assert.equal(await new Parse.Query(made.className).withinKilometers("at", centre, km + 1, false).count(), 1);
  assert.equal(await new Parse.Query(made.className).withinKilometers("at", centre, km - 1, false).count(), 0);
});

test("a pipeline starts with the nearest", async () => {
  const made = await rows([{ n: 1, at: new Parse.GeoPoint(3, 3) }, { n: 2, at: new Parse.GeoPoint(1, 1) }, { n: 3, at: new Parse.GeoPoint(2, 2) }]);
  for (const near of [{ type: "Point", coordinates: [1, 1] }, [1, 1]]) {
    const results = await new Parse.Query(made[0].className).aggregate([
      { $geoNear: { near, key: "at", spherical: true, distanceField: "away", query: { n: { $gte: 2 } } } },
    ]);
    assert.deepEqual(results.map((row) => row.n), [2, 3]);
    assert.equal(results[0].away, 0);
    assert.ok(results[1].away > 0);
  }
});

test("a polygon whose edges cross is refused", async () => {
  const crossed = new Parse.Polygon([[0, 0], [0, 1], [1, 0], [1, 1]]);
  await fails(thing({ crossed }).save(), Parse.Error.INCORRECT_TYPE);
});
