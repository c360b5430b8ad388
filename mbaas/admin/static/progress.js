// How far a run is: the bar, and how fast it goes.
import { $, number } from "./page.js";

export function bar(within, counts) {
  const all = counts.audience || 1;
  for (const part of within.querySelectorAll("[data-part]")) part.style.width = `${(100 * counts[part.dataset.part]) / all}%`;
  const hidden = $("progress", within);
  if (hidden) [hidden.max, hidden.value] = [all, counts.audience - counts.pending];
}

export const summary = (counts) => {
  const parts = [`${number(counts.sent)} of ${number(counts.audience)} sent`];
  if (counts.pending) parts.push(`${number(counts.pending)} to come`);
  if (counts.failed) parts.push(`${number(counts.failed)} failed`);
  if (counts.suppressed) parts.push(`${number(counts.suppressed)} held back`);
  return parts.join(" · ");
};

export class Pace {
  #seen = [];
  // Messages a second over the last ten seconds; 0 where nothing moves.
  add(counts) {
    const now = performance.now() / 1000;
    this.#seen.push([now, counts.sent + counts.failed]);
    while (this.#seen[0][0] < now - 10) this.#seen.shift();
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    return last[0] > first[0] ? (last[1] - first[1]) / (last[0] - first[0]) : 0;
  }
}

export const span = (seconds) => seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
export const MOVING = ["scheduled", "materialising", "sending", "paused"];
