// Who gets it when: the instants of a forecast, in the reader's own zone, with the zones whose clocks show the time.
import { $, el, moment, number, several } from "./page.js";
import { columns } from "./charts.js";

let chart = null;
const short = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const named = (zones) => {
  const names = Object.keys(zones).map((name) => (name === "unknown" ? "no zone known" : name.split("/").pop().replaceAll("_", " ")));
  return names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
};

export function timeline(told) {
  const rows = told.timeline;
  const at = (each) => (each.at ? moment(each.at) : "at once");
  chart?.destroy();
  chart = rows.length > 1 ? columns($("#chart"), rows.map((each) => (each.at ? short.format(new Date(each.at)) : "at once")), [{ name: "Devices", data: rows.map((each) => each.devices) }], { height: 230 }) : null;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const says = !rows.length ? "Nobody would get it." : rows.length === 1 ? `All ${several(told.sends, "device")} ${rows[0].at ? `on ${at(rows[0])}` : "at once"}.` : `From ${rows[0].at ? at(rows[0]) : "now"} to ${at(rows.at(-1))}, zone by zone.`;
  $("#timeline-says").textContent = rows.some((each) => each.at) ? `${says} Times are those of ${zone}.` : says;
  $("#timeline").replaceChildren(
    el("thead", {}, el("tr", {}, ["Your time", "UTC", "Zones", "Devices"].map((head, place) => el("th", { className: place === 3 ? "text-end" : "" }, head)))),
    el("tbody", {}, rows.map((each) => el("tr", {}, el("td", { className: "text-nowrap" }, at(each)), el("td", { className: "text-nowrap" }, each.at ? each.at.slice(5, 16).replace("T", " ") : "–"),
      el("td", { title: Object.entries(each.zones).map(([name, count]) => `${name}: ${count}`).join("\n") }, named(each.zones)), el("td", { className: "text-end" }, number(each.devices))))));
}
