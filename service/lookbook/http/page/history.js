// Every answer, newest first, as far back as one scrolls.

import { call } from "./calls.js";
import { count, find, fullTime, percent, shortTime, show, stamp } from "./view.js";

const PAGE = 60;
// Pages in a row without a match, before a person has to say that the search goes on.
const PATIENCE = 10;
const list = find(".tiles");
const state = find("#state");
const more = find("#more");
const form = find("#filter");
const tiles = new Map();
let walk;

const nearEnd = new IntersectionObserver(([entry]) => entry.isIntersecting && load(walk), { rootMargin: "600px" });
const nearSight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) reveal(target);
}, { rootMargin: "200px" });

/** Show the history anew, as the filter says. */
export function restart() {
  // What cannot be a time is no filter yet: it is being typed.
  if (!form.checkValidity()) return;
  nearSight.disconnect();
  tiles.clear();
  list.replaceChildren();
  walk = { filter: readFilter(), cursor: null, empty: 0, ended: false, loading: false };
  find("button", form).hidden = !Object.keys(walk.filter).length;
  load(walk);
}

function readFilter() {
  const { label, since, until } = Object.fromEntries(new FormData(form));
  return {
    ...(label && { label }),
    ...(since && { since: new Date(since).toISOString() }),
    ...(until && { until: new Date(until).toISOString() }),
  };
}

async function load(mine) {
  if (mine.loading || mine.ended) return;
  mine.loading = true;
  mine.failed = false;
  nearEnd.disconnect();
  more.hidden = true;
  list.setAttribute("aria-busy", "true");
  tell(mine.empty ? `Nothing found yet back to ${fullTime(timeOf(mine.cursor))}` : "Loading…");
  const query = new URLSearchParams({ limit: PAGE, ...mine.filter, ...(mine.cursor && { cursor: mine.cursor }) });
  try {
    const [page] = await Promise.all([call(`v1/predictions?${query}`).then((response) => response.json()), showModel()]);
    if (mine !== walk) return;
    for (const item of page.items) if (!tiles.has(item.id)) list.append(tile(item));
    mine.empty = page.items.length ? 0 : mine.empty + 1;
    mine.cursor = page.next;
    mine.ended = page.next === null;
    settle(mine);
  } catch (refusal) {
    if (mine !== walk) return;
    mine.failed = true;
    tell(`The history cannot be shown. ${refusal.message}`);
    offer("Try again");
  } finally {
    mine.loading = false;
    if (mine === walk) list.removeAttribute("aria-busy");
  }
}

/** Say where the history stands, and go on by itself where its end is in sight. */
function settle(mine) {
  if (mine.ended) {
    const filtered = Object.keys(mine.filter).length > 0;
    if (tiles.size) tell(`That is all: ${count(tiles.size, "answer")}.`);
    else tell(filtered ? "No answer matches the filter." : "No answers yet. Each will be kept here.");
  } else if (mine.empty >= PATIENCE) {
    mine.empty = 0;
    tell(`Nothing found back to ${fullTime(timeOf(mine.cursor))}.`);
    offer("Search on");
  } else {
    tell("");
    offer("Load older");
    // Told of anew, also where nothing has moved.
    nearEnd.observe(more);
  }
}

function tell(text) {
  if (state.textContent !== text) state.textContent = text;
}

function offer(text) {
  more.textContent = text;
  more.hidden = false;
}

function tile({ id, created_at, file_name, label, score }) {
  const item = stamp("tile");
  const time = find("time", item);
  item.dataset.id = id;
  find("a", item).href = `#${id}`;
  find("a", item).title = file_name;
  find(".label", item).textContent = label;
  find(".percent", item).textContent = percent(score);
  time.textContent = shortTime(created_at);
  time.dateTime = created_at;
  time.title = fullTime(created_at);
  offerLabel(label);
  tiles.set(id, item);
  nearSight.observe(item);
  return item;
}

async function reveal(item) {
  nearSight.unobserve(item);
  try {
    const response = await call(`v1/predictions/${item.dataset.id}/thumbnail`);
    show(find("img", item), await response.blob());
  } catch {
    // Its frame stays empty: thumbnails may be turned off.
  }
}

/** The model's name, and its labels to filter by; asked for until it is known. */
async function showModel() {
  const line = find("#model");
  if (line.textContent) return;
  const { name, version, labels } = await (await call("v1/model")).json();
  if (line.textContent) return;
  line.textContent = `${name} ${version}`;
  labels.forEach(offerLabel);
}

/** A label to filter by; earlier models may have had others than this one. */
function offerLabel(label) {
  const [, ...known] = find("select", form).options;
  if (known.some(({ value }) => value === label)) return;
  find("select", form).add(new Option(label, label), known.find(({ value }) => value > label) ?? null);
}

/** The time of a time-based id. */
function timeOf(id) {
  const [low, middle, high] = id.split("-");
  return Number(BigInt(`0x${high.slice(1)}${middle}${low}`) / 10000n) - 12219292800000;
}

function matches({ created_at, label }) {
  const { filter } = walk;
  const time = new Date(created_at);
  return (
    (!filter.label || filter.label === label) &&
    (!filter.since || time >= new Date(filter.since)) &&
    (!filter.until || time < new Date(filter.until))
  );
}

document.addEventListener("stored", ({ detail }) => {
  if (tiles.has(detail.id) || !matches(detail)) return;
  const older = Array.from(list.children).find((item) => find("time", item).dateTime < detail.created_at);
  list.insertBefore(tile(detail), older ?? null);
  if (walk.ended) settle(walk);
});
document.addEventListener("deleted", ({ detail }) => {
  tiles.get(detail)?.remove();
  tiles.delete(detail);
  if (walk.ended) settle(walk);
});
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", restart);
form.addEventListener("focusout", () => {
  find("#incomplete").textContent = form.checkValidity() ? "" : "A time that is not complete does not filter.";
});
document.addEventListener("token", () => walk.failed && load(walk));
form.addEventListener("reset", () => {
  find("select", form).focus();
  setTimeout(restart);
});
more.addEventListener("click", () => load(walk));
