// The rows of an audience: each a condition, and all of them hold.
import { el } from "./page.js";

const OPS = {
  is: "is", isnot: "is not", oneof: "is one of", starts: "begins with", set: "is known", unset: "is not known", atleast: "is at least", atmost: "is at most",
  yes: "is true", no: "is not true", within: "in the last … days", longago: "longer ago than … days", has: "has", hasnot: "has not",
};
const NOTHING = ["set", "unset", "yes", "no"];
const HINTS = { oneof: "with commas: de, fr", starts: "as de for German", within: "days", longago: "days" };

export class Rows {
  // `changed` is called after every change.
  constructor(place, vocabulary, rows, changed, readOnly = false) {
    Object.assign(this, { place, vocabulary, rows, changed, readOnly, problems: {} });
    this.draw();
  }

  draw() {
    const lists = Object.entries(this.vocabulary.values).map(([name, values]) => el("datalist", { id: `values-${name}` }, values.map((value) => el("option", { value }))));
    const events = el("datalist", { id: "events" }, (this.vocabulary.events ?? []).map((value) => el("option", { value })));
    const none = this.rows.length ? null : el("p", { className: "text-secondary" }, "No conditions: everybody who has the app.");
    const add = (of, label) => el("button", { className: "btn btn-sm", type: "button", onclick: () => this.add(of) }, `+ ${label}`);
    const adding = this.readOnly ? null : el("div", { className: "btn-list mt-3" }, add("installation", "About the device"), add("user", "About the person"), this.vocabulary.events && add("event", "What they have done"));
    this.place.replaceChildren(...lists, events, ...(none ? [none] : []), ...this.rows.map((row, at) => this.row(row, at)).flat(), ...(adding ? [adding] : []));
  }

  show(problems) {
    this.problems = problems;
    this.place.querySelectorAll("[data-row]").forEach((row) => {
      const text = problems[`audience.${row.dataset.row}`];
      const place = row.nextElementSibling;
      place.hidden = !text;
      place.textContent = text ?? "";
    });
  }

  add(of) {
    const first = of === "event" ? { field: this.vocabulary.events[0] ?? "", op: "atleast", value: 1, days: 30 } : { field: "", op: "is", value: "" };
    this.rows.push({ of, ...first });
    this.draw();
    [...this.place.querySelectorAll("[data-row]")].at(-1)?.querySelector("select, input")?.focus();
    this.changed();
  }

  row(row, at) {
    const cells = row.of === "event" ? this.event(row, at) : this.condition(row, at);
    const remove = el("button", { className: "btn btn-icon btn-ghost-secondary", type: "button", title: "Remove this condition", "aria-label": `Remove condition ${at + 1}`, onclick: () => { this.rows.splice(at, 1); this.draw(); this.changed(); } }, "×");
    const fields = el("div", { className: `rule ${row.of === "event" ? "event" : ""}`, "data-row": at, role: "group", "aria-label": `Condition ${at + 1}` }, ...cells, this.readOnly ? null : remove);
    if (this.readOnly) fields.querySelectorAll("select, input").forEach((field) => { field.disabled = true; });
    return [fields, el("div", { className: "invalid-feedback d-block rule-problem", hidden: true })];
  }

  set(row, name, value, again = false) {
    row[name] = value;
    if (again) this.draw();
    this.changed();
  }

  choice(label, options, value, chosen) {
    return el("select", { className: "form-select", "aria-label": label, onchange: (event) => chosen(event.target.value) },
      options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
  }

  condition(row, at) {
    const fields = this.vocabulary.fields[row.of];
    const known = fields.find((field) => field.name === row.field);
    const whose = row.of === "user" ? "Person" : "Device";
    const pick = this.choice(`${whose}: what`, [["", `${whose}: …`], ...fields.map((field) => [field.name, `${whose}: ${field.label.toLowerCase()}`])], row.field, (name) => {
      const type = fields.find((field) => field.name === name)?.type;
      const ops = this.vocabulary.ops[type] ?? [];
      if (!ops.includes(row.op)) row.op = ops[0] ?? "is";
      this.set(row, "field", name, true);
    });
    const ops = this.vocabulary.ops[known?.type] ?? ["is"];
    const how = this.choice("How", ops.map((op) => [op, OPS[op]]), row.op, (op) => this.set(row, "op", op, true));
    const days = row.op === "within" || row.op === "longago";
    const value = NOTHING.includes(row.op) ? el("span") : el("input", {
      className: "form-control", "aria-label": "Value", value: row.value ?? "", placeholder: HINTS[row.op] ?? "", type: days || known?.type === "Number" ? "number" : "text",
      min: days ? 1 : undefined, list: known && row.op !== "oneof" && row.of === "installation" && this.vocabulary.values[row.field] ? `values-${row.field}` : undefined,
      oninput: (event) => this.set(row, "value", event.target.value),
    });
    return [pick, how, value];
  }

  event(row) {
    const name = el("input", { className: "form-control", "aria-label": "What they have done", placeholder: "event, as Bought", value: row.field, list: "events", oninput: (event) => this.set(row, "field", event.target.value) });
    const how = this.choice("How often", [["atleast", "at least"], ["atmost", "at most"]], row.op, (op) => this.set(row, "op", op));
    const count = (label, name, most) => el("input", { className: "form-control", type: "number", min: 0, max: most, "aria-label": label, value: row[name], oninput: (event) => this.set(row, name, event.target.value) });
    return [name, how, el("div", { className: "input-group flex-nowrap" }, count("Times", "value", 10000), el("span", { className: "input-group-text" }, "× in"), count("Days", "days", 400), el("span", { className: "input-group-text" }, "days"))];
  }
}

export const kept = (audience) => el("div", { className: "alert alert-info mb-0" },
  el("p", {}, "A developer has written this audience; it says more than rows can, and stays as it is."), el("pre", { className: "mb-0" }, JSON.stringify(audience, null, 2)));
