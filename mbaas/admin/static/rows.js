// The rows of an audience: each a condition, or a group of which any alternative holds; and all of them hold.
import { el } from "./page.js";

const OPS = {
  is: "is", isnot: "is not", oneof: "is one of", starts: "begins with", set: "is known", unset: "is not known", atleast: "is at least", atmost: "is at most",
  yes: "is true", no: "is not true", within: "in the last … days", longago: "longer ago than … days", has: "has", hasnot: "has not",
};
const NOTHING = ["set", "unset", "yes", "no"];
const HINTS = { oneof: "with commas: de, fr", starts: "as de for German", within: "days", longago: "days" };

const blank = (of, vocabulary) => ({ of, ...(of === "event" ? { field: vocabulary.events[0] ?? "", op: "atleast", value: 1, days: 30 } : { field: "", op: "is", value: "" }) });

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
    const add = (of, label) => el("button", { className: "btn btn-sm", type: "button", onclick: () => this.add(this.rows, blank(of, this.vocabulary)) }, `+ ${label}`);
    const adding = this.readOnly ? null : el("div", { className: "btn-list mt-3" }, add("installation", "About the device"), add("user", "About the person"), this.vocabulary.events && add("event", "What they have done"));
    this.place.replaceChildren(...lists, events, ...(none ? [none] : []), ...this.rows.map((row, at) => (row.any ? this.group(row, at) : this.line(row, at))).flat(), ...(adding ? [adding] : []));
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

  // Adds a row to a list of them, and leads to it.
  add(list, row) {
    list.push(row);
    this.draw();
    const place = this.placeOf(row);
    this.place.querySelector(`[data-row="${place}"]`)?.querySelector("select, input")?.focus();
    this.changed();
  }

  placeOf(row) {
    for (const [at, each] of this.rows.entries()) {
      if (each === row) return String(at);
      for (const [other, alternative] of (each.any ?? []).entries()) {
        if (alternative.includes(row)) return `${at}.${other}.${alternative.indexOf(row)}`;
      }
    }
    return "";
  }

  // A condition that holds with all others: "or" makes a group of it.
  line(row, at) {
    const or = row.of === "event" ? null : this.button("or", `Or something else than condition ${at + 1}`, "Or something else", () => {
      const other = blank(row.of, this.vocabulary);
      this.rows[at] = { of: row.of, any: [[row], []] };
      this.add(this.rows[at].any[1], other);
    });
    return this.fields(row, String(at), `Condition ${at + 1}`, [or, this.removing(`condition ${at + 1}`, () => this.rows.splice(at, 1))]);
  }

  // Any of several alternatives holds, all conditions of one together.
  group(group, at) {
    const remove = (other, which) => {
      group.any[other].splice(which, 1);
      group.any = group.any.filter((alternative) => alternative.length);
      // Of one alternative there is nothing to choose.
      if (group.any.length < 2) this.rows.splice(at, 1, ...group.any.flat());
    };
    const alternative = (rows, other) => [
      other ? el("div", { className: "or" }, "or") : null,
      el("div", { role: "group", "aria-label": `Condition ${at + 1}, alternative ${other + 1}` },
        rows.map((row, which) => {
          const name = `condition ${at + 1}, alternative ${other + 1}${rows.length > 1 ? `, part ${which + 1}` : ""}`;
          const and = which < rows.length - 1 ? null : this.button("and", `And something more in ${name}`, "And something more", () => this.add(rows, blank(group.of, this.vocabulary)));
          return this.fields(row, `${at}.${other}.${which}`, name, [and, this.removing(name, () => remove(other, which))]);
        })),
    ];
    const more = this.readOnly ? null : el("button", { className: "btn btn-sm mt-2", type: "button", onclick: () => { group.any.push([]); this.add(group.any.at(-1), blank(group.of, this.vocabulary)); } }, "+ or");
    return el("fieldset", { className: "any" }, el("legend", {}, "Any of these is true"), group.any.map(alternative), more);
  }

  button(text, label, title, onclick) {
    return el("button", { className: "btn btn-sm btn-ghost-secondary", type: "button", title, "aria-label": label, onclick }, text);
  }

  removing(name, todo) {
    return el("button", { className: "btn btn-icon btn-sm btn-ghost-secondary", type: "button", title: "Remove this condition", "aria-label": `Remove ${name}`, onclick: () => { todo(); this.draw(); this.changed(); } }, "×");
  }

  fields(row, place, name, buttons) {
    const cells = row.of === "event" ? this.event(row) : this.condition(row);
    const acts = this.readOnly ? null : el("div", { className: "acts" }, buttons);
    const fields = el("div", { className: `rule ${row.of === "event" ? "event" : ""}`, "data-row": place, role: "group", "aria-label": name }, ...cells, acts);
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

  condition(row) {
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
