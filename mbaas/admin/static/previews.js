// How a notification looks on an iPhone, an Android phone and in a browser: sketches, by what the server has rendered.
import { el, number } from "./page.js";

const NAMES = { ios: "iPhone", android: "Android", web: "Browser" };
const PROVIDERS = { apns: "Apple", fcm: "Firebase", webpush: "Web Push" };

const https = (address) => typeof address === "string" && address.startsWith("https://");

function note(kind, data, app) {
  const words = [
    kind === "android" ? el("div", { className: "meta" }, `${app} · now`) : null,
    el("div", { className: "d-flex justify-content-between gap-2" }, el("div", { className: "t" }, data.title ?? app), kind === "ios" ? el("div", { className: "meta" }, "now") : null),
    data.alert ? el("div", { className: "b" }, data.alert) : null,
    kind === "web" ? el("div", { className: "meta" }, location.host) : null,
    https(data.image) && kind !== "ios" ? el("img", { className: "wide", src: data.image, alt: "", referrerPolicy: "no-referrer" }) : null,
    data.buttons?.length ? el("div", { className: "actions" }, data.buttons.map((button) => el("span", {}, button.title))) : null,
  ];
  const thumb = https(data.image) && kind === "ios" ? el("img", { className: "thumb", src: data.image, alt: "", referrerPolicy: "no-referrer" }) : null;
  return el("div", { className: "note" }, el("div", { className: "icon-app", "aria-hidden": "true" }, app.slice(0, 1).toUpperCase()), el("div", { className: "words" }, words), thumb);
}

export function shots(seen, app) {
  if (seen.error) return [el("div", { className: "alert alert-danger mb-0", role: "alert" }, seen.error)];
  if (seen.empty) return [el("p", { className: "text-secondary mb-0" }, "Write a title or a text, and see here how it looks.")];
  const made = Object.entries(NAMES).map(([kind, name]) => el("div", { className: `shot ${kind}` }, el("div", { className: "name" }, name), note(kind, seen.data, app)));
  if (seen.data.uri) made.push(el("p", { className: "mt-3 mb-0 small text-secondary text-break" }, `A tap opens ${seen.data.uri}`));
  if (seen.bare.length) made.push(el("p", { className: "mt-2 mb-0 small text-warning" }, `${seen.bare.join(", ")}: where nothing is known, the place stays empty. “or else” says what stands there.`));
  return made;
}

// How much of what each provider takes is used.
export function gauge(seen, limits) {
  if (!seen.bytes) return [el("span", { className: "text-secondary" }, "–")];
  return Object.entries(PROVIDERS).flatMap(([provider, name]) => {
    const [bytes, limit] = [seen.bytes[provider], limits[provider]];
    const share = Math.min(100, (100 * bytes) / limit);
    const colour = bytes > limit ? "red" : share > 85 ? "yellow" : "green";
    return [
      el("span", {}, name),
      el("div", { className: "progress", role: "meter", "aria-label": `${name}: bytes used`, "aria-valuenow": bytes, "aria-valuemin": 0, "aria-valuemax": limit }, el("div", { className: `progress-bar bg-${colour}`, style: `width: ${share}%` })),
      el("span", { className: bytes > limit ? "text-danger" : "text-secondary" }, `${number(bytes)} of ${number(limit)} bytes${bytes > limit ? ": too long" : ""}`),
    ];
  });
}
