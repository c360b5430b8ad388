// How many are in each saved audience now.
import { $$, ask, number } from "./page.js";

for (const place of $$("[data-audience]")) {
  const audience = JSON.parse(place.dataset.audience);
  try {
    const told = audience ? await ask("/console/audiences/count", { kept: audience }) : null;
    place.textContent = told ? number(told.size) : "cannot be read";
  } catch (error) {
    place.textContent = error.message;
    place.classList.add("text-danger", "text-wrap");
  }
}
