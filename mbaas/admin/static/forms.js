// What the forms of campaigns and of plays share: what is wrong with them, and whom they are for.
import { $, $$, Refused, el } from "./page.js";
import { Rows, kept } from "./rows.js";

// Says beside a field what is wrong with it, or that nothing is.
export function beside(place, said = "") {
  const before = place.previousElementSibling;
  const field = before?.classList.contains("input-group") ? $("input", before) : before;
  place.textContent = said;
  place.classList.toggle("d-block", Boolean(said));
  field?.classList.toggle("is-invalid", Boolean(said));
  field?.setAttribute("aria-invalid", Boolean(said));
}

// Says of the whole form what is wrong, at each place; `form` has its `rows` and its `messages`.
export function wrong(problems, { rows, messages }) {
  for (const place of $$("[data-problem]")) beside(place, problems[place.dataset.problem]);
  rows?.show(problems);
  messages.wrong(problems);
  $("#problem").textContent = problems[""] ?? "";
  $("#problem").hidden = !problems[""];
}

// What the server refuses is a problem of the form; anything else is a fault of ours.
export const refused = (error, say) => {
  if (!(error instanceof Refused)) throw error;
  say({ "": error.message });
};

// Shows the audience of a form: its rows, which are the answer, or what no rows can say, and a way to begin anew.
export function audienceOf(form, vocabulary, changed, again) {
  if (form.audience.rows) return new Rows($("#rows"), vocabulary, form.audience.rows, changed);
  const begin = () => { form.audience = { rows: [] }; again(); changed(); };
  $("#rows").replaceChildren(kept(form.audience.kept), el("button", { className: "btn btn-sm mt-2", type: "button", onclick: begin }, "Begin with an empty one instead"));
  return null;
}
