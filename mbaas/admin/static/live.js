// One campaign as it is being sent: how many, how fast, how long still, and what went wrong.
import { $, $$, ask, el, number, read, several } from "./page.js";
import { MOVING, Pace, bar, span } from "./progress.js";

const run = $("#run");
const pace = new Pace();
let state = read("live");

function rate(live, perSecond) {
  const { pending } = live.run.counts;
  if (live.state === "paused") return pending ? `${several(pending, "device")} wait until somebody resumes.` : "";
  if (!pending || !MOVING.includes(live.state)) return "";
  if (perSecond < 0.05) return `Nothing is leaving right now: ${several(pending, "device")} wait for their time.`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : number(perSecond)} a second · at this pace done in ${span(pending / perSecond)}`;
}

function show(live) {
  const label = $("[data-live=label]", run);
  label.textContent = live.label;
  label.className = `badge bg-${live.colour}-lt`;
  $("[data-live=says]", run).textContent = live.says;
  if (!live.run) return;
  const counts = live.run.counts;
  bar(run, counts);
  for (const place of $$("[data-count]", run)) place.textContent = number(counts[place.dataset.count]);
  $("[data-live=rate]", run).textContent = rate(live, pace.add(counts));
  const line = (each, colour) => el("tr", {}, el("td", { className: "text-end w-1" }, number(each.count)), el("td", { className: `text-${colour}` }, each.says));
  const lines = [...live.run.failed.map((each) => line(each, "danger")), ...live.run.held.map((each) => line(each, "secondary"))];
  $("[data-live=reasons]").replaceChildren(...(lines.length ? lines : [el("tr", {}, el("td", { className: "text-secondary" }, "Nobody so far."))]));
}

async function look() {
  if (!document.hidden) {
    try {
      const live = await ask(`/console/campaigns/${run.dataset.id}/live`);
      // Other buttons are due, or the first figures.
      const moved = MOVING.includes(live.state) !== MOVING.includes(state.state) || (live.state === "paused") !== (state.state === "paused");
      if (moved || Boolean(live.run) !== Boolean(state.run)) return location.reload();
      state = live;
      show(live);
    } catch { /* it is asked again */ }
  }
  if (MOVING.includes(state.state)) setTimeout(look, 1000);
}
show(state);
if (MOVING.includes(state.state)) setTimeout(look, 500);
