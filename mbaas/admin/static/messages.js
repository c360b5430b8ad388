// What a campaign or a play says: its messages, each in its languages, with what they look like and how long they are.
import { $, $$, ask, el, settled } from "./page.js";
import { gauge, shots } from "./previews.js";

const LOCALES = ["de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "pt-BR", "sv", "tr", "uk", "zh-Hans"];
const NAMES = ["A", "B", "C", "D", "E"];
export const language = (tag) => { try { return new Intl.DisplayNames(["en"], { type: "language" }).of(tag) ?? tag; } catch { return tag; } };
const named = (path) => path.replace(".", ": ").replace("user", "person").replace("installation", "device");

export class Messages {
  // `path` answers previews; `spare` gives the message that is sent where another one cannot be, if there is one; `changed` is called after every change.
  constructor(form, { places, limits, path, changed, failed, spare = () => null }) {
    Object.assign(this, { form, limits, path, changed, failed, spare, at: { variant: form.variants[0].name, locale: "default" }, last: $("#body") });
    this.app = $(".brand-link span").textContent.trim();
    this.preview = settled((current) => this.look(current), 250);
    $("#locale-names").append(...LOCALES.map((value) => el("option", { value }, language(value))));
    $("#place").append(...places.map((value) => el("option", { value }, named(value))));
    for (const field of $$("[data-text]")) {
      field.addEventListener("focus", () => { this.last = field; });
      field.addEventListener("input", () => { this.text()[field.dataset.text] = field.value; changed(); this.preview(); });
    }
    $("#insert").addEventListener("click", () => this.insert());
    $("#add-locale").addEventListener("click", () => this.speak());
    $("#known").addEventListener("change", this.preview);
  }

  every() { return [...this.form.variants, ...[this.spare()].filter(Boolean)]; }

  variant() { return this.every().find((each) => each.name === this.at.variant) ?? this.form.variants[0]; }

  text() { return this.variant().texts[this.at.locale]; }

  show(variant = this.at.variant, locale = this.at.locale) {
    this.at = { variant, locale };
    this.at.variant = this.variant().name;
    if (!this.text()) this.at.locale = "default";
    this.draw();
    this.preview();
  }

  // Shows the message that a problem is in, and what it is.
  wrong(problems) {
    const name = Object.keys(problems).find((each) => each.startsWith("variants."));
    if (name) {
      const [, which, locale] = name.split(".");
      if (this.every().some((each) => each.name === which)) this.show(which, locale);
    }
    $("#text-problem").textContent = name ? problems[name] : "";
    $("#body").classList.toggle("is-invalid", Boolean(name));
  }

  label(each) {
    if (each === this.spare()) return "Without an offer";
    return this.form.variants.length > 1 ? `Message ${each.name}` : "Message";
  }

  share() {
    const total = this.form.variants.reduce((sum, each) => sum + Number(each.weight || 0), 0);
    return total ? `${Math.round((100 * Number(this.variant().weight || 0)) / total)} % of the people` : "";
  }

  draw() {
    const { variants } = this.form;
    const { at } = this;
    const variant = this.variant();
    const tab = (each) => el("li", { className: "nav-item" }, el("button", { className: `nav-link ${each === variant ? "active" : ""}`, type: "button", role: "tab", "aria-selected": each === variant, onclick: () => this.show(each.name, "default") }, this.label(each)));
    const more = el("li", { className: "nav-item" }, el("button", { className: "nav-link", type: "button", onclick: () => this.another() }, variants.length > 1 ? "+ another" : "+ A/B test"));
    $("#variants").replaceChildren(...this.every().map(tab), ...(variants.length < NAMES.length ? [more] : []));
    $("#variant-options").replaceChildren(...(variants.length < 2 || variant === this.spare() ? [] : [
      el("div", { className: "col-auto" }, el("label", { className: "form-label", htmlFor: "weight" }, "Share"), el("input", { className: "form-control", id: "weight", type: "number", min: 0.1, step: "any", value: variant.weight, oninput: (event) => { variant.weight = event.target.value; $("#share").textContent = this.share(); this.changed(); } })),
      el("div", { className: "col align-self-end pb-2 text-secondary text-nowrap", id: "share" }, this.share()),
      el("div", { className: "col-auto align-self-end" }, el("button", { className: "btn btn-ghost-danger", type: "button", onclick: () => this.drop() }, `Remove message ${at.variant}`)),
    ]));
    $("#locales").replaceChildren(...Object.keys(variant.texts).map((tag) => el("button", { className: `btn btn-sm ${tag === at.locale ? "btn-primary" : ""}`, type: "button", "aria-pressed": tag === at.locale, onclick: () => this.show(at.variant, tag) }, tag === "default" ? "any language" : `${language(tag)} (${tag})`)),
      ...(at.locale === "default" ? [] : [el("button", { className: "btn btn-sm btn-ghost-danger", type: "button", onclick: () => { delete variant.texts[at.locale]; this.show(at.variant, "default"); this.changed(); } }, `Remove ${at.locale}`)]));
    for (const field of $$("[data-text]")) {
      field.value = this.text()[field.dataset.text] ?? "";
      const base = at.locale !== "default" && variant.texts.default[field.dataset.text];
      field.placeholder = base ? `as in any language: ${base}`.slice(0, 80) : field.dataset.hint ?? (field.dataset.hint = field.placeholder);
    }
  }

  another() {
    const name = NAMES.find((one) => !this.form.variants.some((each) => each.name === one));
    const like = this.variant() === this.spare() ? this.form.variants[0] : this.variant();
    this.form.variants.push({ ...structuredClone(like), name, weight: 1 });
    this.show(name, "default");
    this.changed();
  }

  drop() {
    this.form.variants = this.form.variants.filter((each) => each.name !== this.at.variant);
    this.show(this.form.variants[0].name, "default");
    this.changed();
  }

  insert() {
    const fallback = $("#fallback").value.trim();
    const { last } = this;
    last.setRangeText(fallback ? `{{${$("#place").value} | ${fallback}}}` : `{{${$("#place").value}}}`, last.selectionStart, last.selectionEnd, "end");
    last.dispatchEvent(new Event("input"));
    last.focus();
  }

  speak() {
    const tag = $("#new-locale").value.trim();
    const fits = /^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$/.test(tag);
    $("#new-locale").classList.toggle("is-invalid", !fits);
    if (!fits) return;
    this.variant().texts[tag] ??= {};
    $("#new-locale").value = "";
    this.show(this.at.variant, tag);
    this.changed();
    $("#title").focus();
  }

  async look(current) {
    try {
      const told = await ask(this.path, { variants: [this.variant()], known: $("#known").value === "yes" });
      if (!current()) return;
      const seen = told.variants[this.at.variant]?.[this.at.locale] ?? { empty: true };
      $("#previews").replaceChildren(...shots(seen, this.app));
      $("#gauge").replaceChildren(...gauge(seen, this.limits));
    } catch (error) { this.failed(error); }
  }
}
