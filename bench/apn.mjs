// `node apn.mjs ORIGIN FOLDER COUNT`, in a folder with @parse/node-apn: sends to the mock at ORIGIN, whose keys are in FOLDER.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [origin, folder, count] = process.argv.slice(2);
const apn = createRequire(`${process.cwd()}/`)('@parse/node-apn');
const provider = new apn.Provider({
  token: { key: `${folder}/apns.p8`, keyId: 'MOCKKEY123', teamId: 'MOCKTEAM12' },
  address: '127.0.0.1',
  port: Number(new URL(origin).port),
  ca: [readFileSync(`${folder}/cert.pem`)],
  production: false,
});
const note = new apn.Notification({ alert: 'Something has happened', topic: 'com.example.app' });
const tokens = Array.from({ length: Number(count) }, (_, n) => n.toString(16).padStart(64, '0'));
const begun = process.hrtime.bigint();
const used = process.cpuUsage();
let failed = 0;
for (let first = 0; first < tokens.length; first += 900) {
  failed += (await provider.send(note, tokens.slice(first, first + 900))).failed.length;
}
const seconds = Number(process.hrtime.bigint() - begun) / 1e9;
const { user, system } = process.cpuUsage(used);
console.log(JSON.stringify({ seconds, processor: (user + system) / 1e6, failed }));
await provider.shutdown();
process.exit(0);
