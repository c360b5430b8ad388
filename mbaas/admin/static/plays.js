// The list of plays: the figures of each, one after the other.
import { $, $$, ask, number } from "./page.js";

const money = (value) => Object.entries(value).map(([currency, amount]) => `${amount.toLocaleString("en-GB", { minimumFractionDigits: 2, maximumFractionDigits: 2 })} ${currency}`).join(", ") || "–";

for (const line of $$("#plays [data-id]")) {
  const show = (name, text) => { $(`[data-figure=${name}]`, line).textContent = text; };
  try {
    const { value, ...counts } = await ask(`/console/plays/${line.dataset.id}/results`);
    for (const [name, count] of Object.entries(counts)) show(name, number(count));
    show("value", money(value));
  } catch {
    // Somebody has deleted it meanwhile.
    for (const place of $$("[data-figure]", line)) place.textContent = "–";
  }
}
