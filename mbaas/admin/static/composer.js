// The composer: one form in four steps. What it says of people and sizes, the server has counted.
import { $, $$, ask, el, number, read, settled, several } from "./page.js";
import { audienceOf, beside, refused, wrong as tell } from "./forms.js";
import { Messages, language } from "./messages.js";
import { timeline } from "./timeline.js";
import { tried } from "./trying.js";

const data = read("data");
const STEPS = ["audience", "message", "schedule", "review"];
const app = $(".brand-link span").textContent.trim();
const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const tomorrow = () => { const day = new Date(Date.now() + 86_400_000); return `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`; };
const blank = () => ({
  name: "", category: "general", audience: { rows: [] }, variants: [{ name: "A", weight: 1, texts: { default: {} }, rest: {} }],
  schedule: { when: "now", date: tomorrow(), time: "09:00", zone: here, past: "next_day", repeat: "", until: "", rest: {} },
  quiet: null, cap: null, moreCaps: [], control: 0, perSecond: "", expires: "", zone: here,
});
const form = { ...blank(), ...(data.form ?? {}) };
form.schedule = { ...blank().schedule, ...form.schedule };
const saved = { id: data.id, updatedAt: data.updatedAt, as: JSON.stringify(form) };
const at = { step: "audience" };
const dirty = () => JSON.stringify(form) !== saved.as;

// ── what is wrong ────────────────────────────────────────────────────────────────────────────────
const stepOf = (name) => (name === "name" || name === "category" || name.startsWith("audience") ? "audience" : name.startsWith("variants") ? "message" : "schedule");

function wrong(problems) {
  tell(problems, { rows, messages });
  const [first] = Object.keys(problems).filter(Boolean);
  return first ? stepOf(first) : null;
}
const failed = (error) => { refused(error, wrong); window.scrollTo({ top: 0 }); };

// ── steps ────────────────────────────────────────────────────────────────────────────────────────
function go(step) {
  at.step = step;
  for (const section of $$("section[data-step]")) section.hidden = section.dataset.step !== step;
  for (const button of $$("[data-go]")) button.setAttribute("aria-current", button.dataset.go === step ? "step" : "false");
  $("#back").hidden = step === STEPS[0];
  $("#next").hidden = step === STEPS.at(-1);
  if (step === "message") messages.show();
  if (step === "schedule") { schedule(); forecast(); }
  if (step === "review") review();
  history.replaceState(null, "", `#${step}`);
}
for (const button of $$("[data-go]")) button.addEventListener("click", () => go(button.dataset.go));
$("#back").addEventListener("click", () => go(STEPS[STEPS.indexOf(at.step) - 1]));
$("#next").addEventListener("click", () => { go(STEPS[STEPS.indexOf(at.step) + 1]); window.scrollTo({ top: 0 }); });

function changed() {
  $("#saved").textContent = dirty() ? "not saved" : "";
}
for (const field of $$("[data-field]")) {
  field.value = form[field.dataset.field] ?? "";
  field.addEventListener("input", () => { form[field.dataset.field] = field.value; changed(); if (field.id === "category") count(); else if (at.step === "schedule") forecast(); });
}

// ── audience ─────────────────────────────────────────────────────────────────────────────────────
const count = settled(async (current) => {
  const place = $("#count");
  try {
    const told = await ask("/console/compose/ask/audience", { audience: form.audience, category: form.category });
    if (!current()) return;
    rows?.show(told.problems ?? {});
    beside($("[data-problem=category]"), told.problems?.category);
    if (told.problems) return place.replaceChildren(el("p", { className: "text-secondary mb-0" }, "Complete the conditions to see how many that is."));
    const scale = told.looked < told.audience ? "of the first " + number(told.looked) : "";
    place.replaceChildren(
      el("div", { className: "h1 mb-0", id: "audience-size" }, number(told.audience)), el("div", { className: "text-secondary mb-3" }, `${told.audience === 1 ? "device is" : "devices are"} in the audience`),
      el("div", { className: "d-flex justify-content-between" }, el("span", {}, `Would get it ${scale}`), el("strong", { id: "would-get" }, number(told.sends))),
      ...told.held.map((each) => el("div", { className: "d-flex justify-content-between text-secondary gap-3" }, el("span", {}, each.says), el("span", {}, number(each.count)))),
      told.sends ? el("div", { className: "mt-3 small text-secondary" }, Object.entries(told.platforms).map(([name, many]) => `${name} ${number(many)}`).join(" · ")) : null,
    );
  } catch (error) {
    if (current()) place.replaceChildren(el("div", { className: "text-danger", role: "alert" }, error.message));
  }
});
let rows = null;
function audience() {
  rows = audienceOf(form, data.vocabulary, () => { changed(); count(); }, audience);
}
audience();
$("#from-saved").append(...data.saved.map((each) => el("option", { value: each.id }, each.name)));
$("#from-saved").addEventListener("change", (event) => {
  const chosen = data.saved.find((each) => each.id === event.target.value);
  if (!chosen) return;
  form.audience = chosen.rows ? { rows: structuredClone(chosen.rows) } : { kept: chosen.audience };
  audience(); changed(); count();
});
count();

// ── message ──────────────────────────────────────────────────────────────────────────────────────
const messages = new Messages(form, { ...data, path: "/console/compose/ask/preview", changed, failed: (error) => failed(error) });

$("#phone").value = data.phone;
$("#send-test").addEventListener("click", async () => {
  const hint = $("#test-hint");
  try {
    if (!(await save())) return;
  } catch (error) {
    hint.textContent = error.message;
    return;
  }
  const locale = messages.at.locale === "default" ? {} : { locale: messages.at.locale };
  await tried(hint, `/console/campaigns/${saved.id}`, { device: $("#phone").value, variant: messages.at.variant, ...locale });
});

// ── schedule ─────────────────────────────────────────────────────────────────────────────────────
$("#zones").append(...["UTC", ...(Intl.supportedValuesOf?.("timeZone") ?? [])].map((value) => el("option", { value })));
function schedule() {
  for (const radio of $$("[name=when]")) radio.checked = radio.value === form.schedule.when;
  for (const part of $$("[data-when]")) part.hidden = !part.dataset.when.split(" ").includes(form.schedule.when);
  const repeat = $("#repeat");
  if (form.schedule.repeat && ![...repeat.options].some((one) => one.value === form.schedule.repeat)) repeat.append(el("option", { value: form.schedule.repeat }, `as written: ${form.schedule.repeat}`));
  for (const field of $$("[data-schedule]")) field.value = form.schedule[field.dataset.schedule] ?? "";
  $("#until-part").hidden = !form.schedule.repeat;
  for (const [part, first] of [["quiet", { from: "22:00", to: "08:00", then: "hold" }], ["cap", { count: 2, hours: 168 }]]) {
    $(`#${part}`).checked = Boolean(form[part]);
    $(`[data-part=${part}]`).hidden = !form[part];
    for (const field of $$(`[data-${part}]`)) field.value = (form[part] ?? first)[field.dataset[part]];
  }
  const expires = $("#expires");
  if (form.expires && ![...expires.options].some((one) => one.value === form.expires)) expires.append(el("option", { value: form.expires }, form.expires));
  expires.value = form.expires;
}
for (const radio of $$("[name=when]")) radio.addEventListener("change", () => { form.schedule.when = radio.value; schedule(); changed(); forecast(); });
for (const field of $$("[data-schedule]")) field.addEventListener("input", () => { form.schedule[field.dataset.schedule] = field.value; $("#until-part").hidden = !form.schedule.repeat; changed(); forecast(); });
for (const [part, first] of [["quiet", { from: "22:00", to: "08:00", then: "hold" }], ["cap", { count: 2, hours: 168 }]]) {
  $(`#${part}`).addEventListener("change", (event) => { form[part] = event.target.checked ? first : null; schedule(); changed(); forecast(); });
  for (const field of $$(`[data-${part}]`)) field.addEventListener("input", () => { form[part][field.dataset[part]] = field.value; changed(); forecast(); });
}
const forecast = settled(async (current) => {
  try {
    const told = await ask("/console/compose/ask/review", { id: saved.id, form });
    if (!current()) return;
    const step = wrong(told.problems ?? {});
    if (!told.problems) return timeline(told);
    $("#timeline-says").textContent = step === "schedule" ? "Complete the schedule to see who gets it when." : "Complete the steps before this one to see who gets it when.";
    $("#timeline").replaceChildren();
  } catch (error) { failed(error); }
});

// ── review ───────────────────────────────────────────────────────────────────────────────────────
async function review() {
  const [place, launch] = [$("#sentences"), $("#launch")];
  launch.disabled = true;
  place.replaceChildren(el("p", { className: "text-secondary mb-0" }, "Counting…"));
  try {
    const told = await ask("/console/compose/ask/review", { id: saved.id, form });
    const step = wrong(told.problems ?? {});
    if (told.problems) {
      place.replaceChildren(el("p", { className: "mb-0" }, "Something is missing yet: "), ...Object.entries(told.problems).map(([name, said]) => el("div", {}, name ? `Step ${STEPS.indexOf(stepOf(name)) + 1}: ` : "", el("a", { href: `#${name ? stepOf(name) : step ?? "message"}`, onclick: (event) => { event.preventDefault(); go(name ? stepOf(name) : "message"); } }, said))));
      return;
    }
    const [first, ...rest] = told.sentences;
    place.replaceChildren(el("p", { className: "sentence fw-bold" }, first), ...rest.map((sentence) => el("p", { className: "sentence" }, sentence)));
    launch.textContent = form.schedule.when === "now" ? `Send to ${several(told.sends, "device")} now` : `Launch for ${several(told.sends, "device")}`;
    launch.disabled = false;
    const seen = await ask("/console/compose/ask/preview", { variants: form.variants, known: true });
    $("#all-messages").replaceChildren(...Object.entries(seen.variants).flatMap(([name, locales]) => Object.entries(locales).map(([tag, each]) => el("div", { className: "mb-3" },
      el("div", { className: "subheader" }, [form.variants.length > 1 ? `Message ${name}, ` : "", tag === "default" ? "any language" : language(tag)].join("")), el("strong", {}, each.data?.title ?? ""), " ", el("span", {}, each.data?.alert ?? each.error ?? "(empty)")))));
  } catch (error) { failed(error); }
}

// ── saving and launching ─────────────────────────────────────────────────────────────────────────
async function save() {
  if (saved.id && !dirty()) return true;
  try {
    const as = JSON.stringify(form);
    const told = await ask("/console/compose/ask/save", { id: saved.id, updatedAt: saved.updatedAt, form });
    const step = wrong(told.problems ?? {});
    if (told.problems) { $("#saved").textContent = "not saved: something is missing"; if (step) go(step); return false; }
    Object.assign(saved, { id: told.id, updatedAt: told.updatedAt, as });
    history.replaceState(null, "", `/console/compose/${told.id}#${at.step}`);
    $("#saved").textContent = "saved";
    return true;
  } catch (error) { failed(error); return false; }
}
$("#save").addEventListener("click", save);
$("#launch").addEventListener("click", async () => {
  $("#launch").disabled = true;
  try {
    if (!(await save())) return;
    await ask(`/console/campaigns/${saved.id}/launch`, { updatedAt: saved.updatedAt });
    saved.as = JSON.stringify(form);
    location.assign(`/console/campaigns/${saved.id}`);
  } catch (error) { failed(error); $("#launch").disabled = false; }
});
window.addEventListener("beforeunload", (event) => { if (dirty()) event.preventDefault(); });
go(STEPS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "audience");
changed();
