// One audience: its rows, how many that is, and some of them.
import { $, Refused, ask, el, number, read, several, settled } from "./page.js";
import { Rows, kept } from "./rows.js";

const { form, vocabulary, mayChange } = read("data");
const opaque = form.rows === null;
const asked = () => (opaque ? { kept: form.kept } : { rows: form.rows });

const count = settled(async (current) => {
  const place = $("#count");
  try {
    const told = await ask("/console/audiences/count", asked());
    if (!current()) return;
    rows?.show(told.problems ?? {});
    if (told.problems) return;
    place.replaceChildren(el("div", { className: "h1 mb-0" }, number(told.size)), el("div", { className: "text-secondary" }, told.size === 1 ? "device now" : "devices now"));
    const head = ["Platform", "Language", "Time zone", "Version", "Installation"];
    const line = (each) => [each.deviceType, each.localeIdentifier, each.timeZone, each.appVersion, [el("code", {}, each.installation), each.reachable ? "" : el("span", { className: "text-danger" }, " no token")]];
    $("#sample").replaceChildren(...(told.sample.length ? [el("caption", { className: "px-3" }, `${several(told.sample.length, "of them", "of them")}, as they come`),
      el("thead", {}, el("tr", {}, head.map((name) => el("th", {}, name)))), el("tbody", {}, told.sample.map((each) => el("tr", {}, line(each).map((cell) => el("td", { className: "text-nowrap" }, cell ?? "")))))] : []));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    place.replaceChildren(el("div", { className: "text-danger" }, error.message));
  }
});
const rows = opaque ? null : new Rows($("#rows"), vocabulary, form.rows, count, !mayChange);
if (opaque) $("#rows").replaceChildren(kept(form.kept));
count();

$("#save")?.addEventListener("click", async () => {
  const problem = $("[data-problem=name]");
  try {
    const told = await ask(`/console/audiences/${form.id ?? "new"}/save`, { name: $("#name").value, ...asked() });
    if (!told.problems) return location.assign(`/console/audiences/${told.id}`);
    rows?.show(told.problems);
    problem.textContent = told.problems.name ?? "";
  } catch (error) {
    problem.textContent = error.message;
  }
  problem.classList.toggle("d-block", Boolean(problem.textContent));
});
