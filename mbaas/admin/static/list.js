// The list of campaigns keeps up with those that are under way.
import { $, $$, ask } from "./page.js";
import { MOVING, bar, summary } from "./progress.js";

const show = (line, live) => {
  const label = $("[data-live=label]", line);
  label.textContent = live.label;
  label.className = `badge bg-${live.colour}-lt`;
  line.dataset.state = live.state;
  if (!live.run) return;
  bar(line, live.run.counts);
  const counts = $("[data-live=counts]", line);
  if (counts) counts.textContent = summary(live.run.counts);
};

for (const line of $$("#campaigns [data-id]")) {
  const data = $("script.live", line);
  if (data) show(line, JSON.parse(data.textContent));
}

async function look() {
  const moving = $$("#campaigns [data-id]").filter((line) => MOVING.includes(line.dataset.state));
  if (moving.length && !document.hidden) {
    try {
      const found = await ask(`/console/progress?${moving.map((line) => `id=${line.dataset.id}`).join("&")}`);
      for (const line of moving) {
        // A run that has begun has a bar, which the page was made without.
        if (!found[line.dataset.id] || (found[line.dataset.id].run && !$("[data-live=bar]", line))) return location.reload();
        show(line, found[line.dataset.id]);
      }
    } catch { /* it is asked again */ }
  }
  setTimeout(look, 2000);
}
look();
