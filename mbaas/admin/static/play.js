// One play: what would be sent if it were set off for somebody now, and a copy to one's own phone.
import { $, ask, el, moment, read, several } from "./page.js";
import { tried } from "./trying.js";

const data = read("tries");
const path = `/console/plays/${data.id}`;
const form = $("#try");
const SAYS = { android: "Android phone", ios: "iPhone", web: "browser" };

// Who only looks has no form.
for (const root of form ? ["moment", "offer"] : []) {
  $(`#try-${root}`)?.append(...data.places[root].map((name) => el("div", { className: "col-sm-6" },
    el("label", { className: "form-label", htmlFor: `${root}-${name}` }, name),
    el("input", { className: "form-control", id: `${root}-${name}`, autocomplete: "off", oninput: () => { $("#dry-run").replaceChildren(); } }))));
}
if (form) $("#try-phone").value = data.phone;

// What looks like a number, true, false, a list or an object is one; everything else is a text.
const value = (text) => {
  try { return JSON.parse(text); } catch { return text; }
};

function values(root) {
  const found = {};
  for (const name of data.places[root]) {
    const text = document.getElementById(`${root}-${name}`).value.trim();
    const steps = name.split(".");
    let at = found;
    if (text === "") continue;
    for (const step of steps.slice(0, -1)) at = at[step] = typeof at[step] === "object" ? at[step] : {};
    at[steps.at(-1)] = value(text);
  }
  return found;
}

function asked() {
  const offer = values("offer");
  return { device: $("#try-phone").value, props: values("moment"), ...(Object.keys(offer).length ? { offer } : {}) };
}

const named = (each) => `${SAYS[each.platform] ?? each.platform}${each.subject.startsWith("user:") ? ` of the user ${each.subject.slice(5)}` : ` ${each.installation}`}`;

function sent(each) {
  const { title, alert } = each.data;
  const later = Date.parse(each.due) > Date.now() + 60_000 ? `at ${moment(each.due)}` : "at once";
  const by = each.partner ? `, with an offer of ${each.partner}` : "";
  return el("div", { className: "list-group-item" },
    el("div", { className: "text-secondary small" }, `${named(each)}: ${later}${by}`),
    title && el("div", { className: "fw-bold text-break" }, title), alert && el("div", { className: "text-break" }, alert));
}

const held = (says) => (each) => el("div", { className: "list-group-item" },
  el("div", { className: "text-secondary small" }, `${named(each)}: nothing`), `${says[each.reason] ?? each.reason}${each.reason === "missing_field" ? `: ${each.detail}` : ""}`);

async function dryRun() {
  const place = $("#dry-run");
  try {
    const seen = await ask(`${path}/dry-run`, { ...asked(), ...($("#ask")?.checked ? { ask: true } : {}) });
    const first = !seen.devices ? "No device is known by that id, so nothing would be sent." : seen.sends ? `${several(seen.sends, "device")} of ${seen.devices} would be sent this:` : "Nothing would be sent:";
    place.replaceChildren(el("p", { className: "mb-2 mt-3" }, first),
      el("div", { className: "list-group" }, ...seen.rendered.map(sent), ...seen.suppressions.map(held(seen.says))));
  } catch (error) {
    place.replaceChildren(el("p", { className: "text-danger mt-3 mb-0" }, error.message));
  }
}

form?.addEventListener("submit", (event) => { event.preventDefault(); dryRun(); });
$("#send-test")?.addEventListener("click", () => tried($("#test-hint"), path, asked()));
