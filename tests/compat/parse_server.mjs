// Parse Server itself, to compare with: PORT, DATABASE_URI and OPTIONS (JSON, its own option names) come from the environment.
import http from "node:http";
import express from "express";
import { ParseServer } from "parse-server";

const port = Number(process.env.PORT);
const server = new ParseServer({
  databaseURI: process.env.DATABASE_URI,
  serverURL: `http://127.0.0.1:${port}/parse`,
  silent: true,
  logLevel: "error",
  ...JSON.parse(process.env.OPTIONS ?? "{}"),
});
await server.start();
const app = express();
app.use("/parse", server.app);
// Some requests (two geo points in one object) would end it; a peer has to go on.
process.removeAllListeners("uncaughtException").on("uncaughtException", () => {});
http.createServer(app).listen(port, "127.0.0.1", () => console.log("ready"));
