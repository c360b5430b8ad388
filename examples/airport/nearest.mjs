// The airports nearest to a place, with the stock Parse SDK:  node nearest.mjs 52.52 13.405
import Parse from "parse/node";
import { readFileSync } from "node:fs";

const keys = process.env.MBAAS_APP_ID ?? JSON.parse(readFileSync(process.env.MBAAS_KEYS ?? "data/keys.json")).app_id;
Parse.initialize(keys);
Parse.serverURL = process.env.MBAAS_URL ?? "http://localhost:1337/parse";

const [latitude = 52.52, longitude = 13.405] = process.argv.slice(2).map(Number);
const here = new Parse.GeoPoint(latitude, longitude);
const airports = await new Parse.Query("Airport").near("location", here).notEqualTo("iata", "").limit(5).find();
for (const airport of airports) {
  const away = airport.get("location").kilometersTo(here);
  console.log(`${airport.get("iata")}  ${away.toFixed(0).padStart(5)} km  ${airport.get("name")}, ${airport.get("city")}`);
}
