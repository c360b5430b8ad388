// What every page needs: elements from data and never from markup, requests with the CSRF token, times in the reader's own zone.

export const el = (tag, has = {}, ...inside) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(has)) {
    if (value === undefined || value === null) continue;
    // What is said to screen readers is a word, `false` as well.
    if (name.startsWith("aria-")) made.setAttribute(name, String(value));
    else if (value === false) continue;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...inside.flat(9).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
};
export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
export const read = (id) => JSON.parse(document.getElementById(id).textContent);
export const number = (count) => Math.round(count).toLocaleString("en-GB");
export const several = (count, one, many = `${one}s`) => `${number(count)} ${Math.round(count) === 1 ? one : many}`;

const cookie = (name) => document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1) ?? "";

export class Refused extends Error {}

export async function ask(path, body) {
  const how = body === undefined ? {} : {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRFToken": decodeURIComponent(cookie("starlette_admin_csrftoken")).replace(/^"|"$/g, "") },
  };
  const answer = await fetch(path, { ...how, credentials: "same-origin" });
  if (answer.redirected) {
    // The session has ended.
    location.reload();
    throw new Refused("Sign in again.");
  }
  const told = answer.headers.get("content-type")?.includes("json") ? await answer.json() : { error: await answer.text() };
  if (!answer.ok) throw new Refused(told.error || `The server answers ${answer.status}.`);
  return told;
}

// Calls a function when nothing has happened for a while; of several answers the last one counts.
export const settled = (todo, wait = 350) => {
  let timer;
  let turn = 0;
  return (...given) => {
    clearTimeout(timer);
    const mine = ++turn;
    timer = setTimeout(() => todo(() => mine === turn, ...given), wait);
  };
};

const own = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export const moment = (when) => own.format(new Date(when));

export function times(within = document) {
  for (const each of $$("time[data-ms]", within)) each.textContent = moment(Number(each.dataset.ms));
  for (const each of $$("time[datetime$='Z']", within)) {
    each.title = each.getAttribute("datetime");
    each.textContent = moment(each.getAttribute("datetime"));
  }
}

export function confirmed(text, label) {
  return new Promise((done) => {
    const close = (value) => () => { box.close(); box.remove(); done(value); };
    const box = el("dialog", { className: "ask" }, el("p", { className: "fs-3" }, text), el("div", { className: "d-flex gap-2 justify-content-end" },
      el("button", { className: "btn", type: "button", autofocus: true, onclick: close(false) }, "Leave it"),
      el("button", { className: "btn btn-danger", type: "button", onclick: close(true) }, label)));
    box.addEventListener("cancel", close(false));
    document.body.append(box);
    box.showModal();
  });
}

for (const form of $$("form[data-ask]")) {
  // Until now there was nobody to ask.
  $("button[type=submit]", form).disabled = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const label = $("button[type=submit]", form).textContent.replace("…", "");
    if (await confirmed(form.dataset.ask, label)) form.submit();
  });
}
times();
