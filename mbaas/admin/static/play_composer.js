// The form of a play. What it will do, the server says in a sentence meanwhile.
import { $, $$, ask, el, read, settled } from "./page.js";
import { audienceOf, refused, wrong as tell } from "./forms.js";
import { Messages } from "./messages.js";

const data = read("data");
const blank = {
  name: "", category: "general", audience: { rows: [] }, variants: [{ name: "A", weight: 1, texts: { default: {} }, rest: {} }],
  trigger: { kind: "moment" }, validFor: { count: 10, unit: "m" }, value: { amount: 1, curve: "constant", count: "", unit: "m", share: 50 }, minValue: "",
  cooldown: { count: "", unit: "h" }, cap: null, moreCaps: [], cancelOn: "", leaves: false, function: null, fallback: { name: "fallback", texts: { default: {} }, rest: {} },
  quiet: null, control: 0, perSecond: "", zone: "UTC", rest: {},
};
const form = { ...blank, ...(data.form ?? {}) };
// What is asked of a function stays in the form while the box is not ticked.
const offer = form.function ?? { name: "", budgetMs: 300, worth: "", tells: "", otherwise: "fallback", kept: {} };
const saved = { as: JSON.stringify(form), done: false };

function wrong(problems) {
  tell(problems, { rows, messages });
  (problems[""] ? $("#problem") : $(".is-invalid, .rule-problem:not([hidden])"))?.scrollIntoView({ block: "center" });
}
const failed = (error) => refused(error, wrong);

const rule = settled(async (current) => {
  try {
    const told = await ask("/console/compose-play/ask/rule", { form });
    if (!current()) return;
    const missing = Object.entries(told.problems ?? {}).map(([name, text]) => (name.startsWith("variants.fallback.") ? `Without an offer: ${text}` : text));
    $("#sentences").replaceChildren(...(missing.length
      ? [el("p", { className: "text-secondary mb-2" }, "Still to do:"), el("ul", { className: "mb-0" }, missing.map((each) => el("li", {}, each)))]
      : told.sentences.map((each, at) => el("p", { className: at ? "text-secondary mb-1" : "sentence" }, each))));
  } catch (error) { failed(error); }
});
function changed() {
  if (JSON.stringify(form) !== saved.as) $("#saved").textContent = "not saved";
  rule();
}

// ── fields ───────────────────────────────────────────────────────────────────────────────────────
const holder = (path) => {
  const [part, name] = path.split(".");
  if (!name) return [form, part];
  return [part === "function" ? offer : form[part], name];
};
const options = (select, values, chosen) => { select.replaceChildren(...values.map(([value, label]) => el("option", { value }, label))); select.value = values.some(([value]) => value === chosen) ? chosen : values[0]?.[0] ?? ""; };

function arrange() {
  for (const place of $$("[data-kind]")) place.hidden = place.dataset.kind !== form.trigger.kind;
  for (const place of $$("[data-curve]")) place.hidden = !place.dataset.curve.split(" ").includes(form.value.curve);
  $("#function").hidden = !form.function;
  $("#leaving").hidden = form.trigger.kind !== "geofence" || form.trigger.on === "exit";
  if ($("#leaving").hidden && form.trigger.kind !== "kept") $("#leaves").checked = form.leaves = false;
  if (form.trigger.kind === "geofence") $("#crossing").value = form.trigger.on = form.trigger.on === "exit" ? "exit" : "enter";
  if (form.trigger.kind === "change") followed();
  messages.show();
}
function followed() {
  const known = data.classes[form.trigger.className] ?? Object.values(data.classes)[0];
  options($("#class"), Object.keys(data.classes).map((name) => [name, name]), form.trigger.className);
  if (!known) return;
  const on = ["create", "update", "enter"].includes(form.trigger.on) ? form.trigger.on : "create";
  $("#on").value = on;
  options($("#column"), [["", on === "enter" ? "choose…" : "anything"], ...Object.keys(known.columns).map((name) => [name, name])], form.trigger.field);
  options($("#subject"), known.subjects.map((name) => [name, name === "objectId" ? "own device or person" : name]), form.trigger.subject);
  Object.assign(form.trigger, { className: $("#class").value, on, field: $("#column").value, subject: $("#subject").value });
  $("#equals").disabled = !form.trigger.field;
  $("#equals").placeholder = { Number: "a number", Boolean: "true or false" }[known.columns[form.trigger.field]] ?? "late";
}
const spare = () => (form.function && offer.otherwise === "fallback" ? form.fallback : null);
const messages = new Messages(form, { ...data, path: "/console/compose-play/ask/preview", changed, failed, spare });
let rows = null;
function audience() {
  rows = audienceOf(form, data.vocabulary, changed, audience);
}
audience();
$("#moments").append(...data.moments.map((value) => el("option", { value })));
for (const field of $$("[data-field]")) {
  const [of, name] = holder(field.dataset.field);
  field.value = of[name] ?? (field.tagName === "SELECT" ? field.options[0]?.value ?? "" : "");
  field.addEventListener("input", () => { const [part, key] = holder(field.dataset.field); part[key] = field.value; if (field.tagName === "SELECT") arrange(); changed(); });
}
for (const [select, value] of [["#kind", form.trigger.kind], ["#curve", form.value.curve]]) if (value === "kept") $(`${select} option[value=kept]`).hidden = false;
for (const field of $$("[data-cap]")) {
  field.value = form.cap?.[field.dataset.cap] ?? "";
  field.addEventListener("input", () => {
    const [count, hours] = ["count", "hours"].map((name) => $(`[data-cap=${name}]`).value);
    form.cap = count || hours ? { count, hours: hours || 24 } : null;
    changed();
  });
}
$("#asks").checked = Boolean(form.function);
$("#asks").addEventListener("change", (event) => { form.function = event.target.checked ? offer : null; arrange(); changed(); });
$("#leaves").checked = form.leaves;
$("#leaves").addEventListener("change", (event) => { form.leaves = event.target.checked; changed(); });
arrange();
rule();

$("#save").addEventListener("click", async () => {
  try {
    const told = await ask("/console/compose-play/ask/save", { id: data.id, updatedAt: data.updatedAt, form });
    if (told.problems) { wrong(told.problems); $("#saved").textContent = "not saved: something is missing"; return; }
    saved.done = true;
    location.assign(`/console/plays/${told.id}`);
  } catch (error) { failed(error); }
});
window.addEventListener("beforeunload", (event) => { if (!saved.done && JSON.stringify(form) !== saved.as) event.preventDefault(); });
