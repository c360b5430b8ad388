// The report's charts.
import { $$ } from "./page.js";
import { columns } from "./charts.js";

for (const place of $$(".chart[data-rows]")) {
  const rows = Object.entries(JSON.parse(place.dataset.rows)).sort((a, b) => b[1].audience - a[1].audience).slice(0, 20);
  const series = [["Sent", "sent"], ["Opened", "opened"], ["Converted", "converted"]].map(([name, key]) => ({ name, data: rows.map(([, tally]) => tally[key]) }));
  const draw = () => { if (place.offsetParent && !place.firstChild) columns(place, rows.map(([key]) => key.split("/").pop().replaceAll("_", " ")), series); };
  draw();
  // A chart in a tab that nobody sees has no width.
  for (const tab of $$("[data-bs-toggle=tab]")) tab.addEventListener("shown.bs.tab", draw);
}
