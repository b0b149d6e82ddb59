// Every prediction, newest first, loaded page by page as the visitor scrolls.

import { call, callJson } from "./api.js";
import { model } from "./model.js";
import { describe } from "./truths.js";
import { cloneTemplate, count, find, fullTime, percent, shortTime, showImage } from "./view.js";

const PAGE_SIZE = 60;
// How many pages in a row may be empty before the visitor has to confirm that the search goes on.
const MAX_EMPTY_PAGES = 10;
const list = find(".tiles");
const status = find("#history-status");
const moreButton = find("#load-more");
const form = find("#filter");
const tiles = new Map();
// The listing on display; one that was replaced meanwhile is ignored when its page arrives.
let listing;
// Whether images were judged elsewhere since the list was loaded.
let stale = true;

const endObserver = new IntersectionObserver(([entry]) => entry.isIntersecting && load(listing), { rootMargin: "600px" });
const thumbnailObserver = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) loadThumbnail(target);
}, { rootMargin: "200px" });

/** Show the history from the start, with the current filter. */
function restart() {
  // An incomplete time is still being typed.
  if (!form.checkValidity()) return;
  stale = false;
  thumbnailObserver.disconnect();
  tiles.clear();
  list.replaceChildren();
  listing = { filter: readFilter(), cursor: null, emptyPages: 0, ended: false, loading: false };
  find("button", form).hidden = !Object.keys(listing.filter).length;
  load(listing);
}

function readFilter() {
  const { label, ground_truth, since, until } = Object.fromEntries(new FormData(form));
  return {
    ...(label && { label }),
    ...(ground_truth && { ground_truth }),
    ...(since && { since: new Date(since).toISOString() }),
    ...(until && { until: new Date(until).toISOString() }),
  };
}

async function load(current) {
  if (current.loading || current.ended) return;
  current.loading = true;
  current.failed = false;
  endObserver.disconnect();
  moreButton.hidden = true;
  list.setAttribute("aria-busy", "true");
  setStatus(current.emptyPages ? `Searching… No matches back to ${fullTime(timeOf(current.cursor))}.` : "Loading…");
  const query = new URLSearchParams({
    limit: PAGE_SIZE,
    ...current.filter,
    ...(current.cursor && { cursor: current.cursor }),
  });
  try {
    const [page] = await Promise.all([callJson(`v1/predictions?${query}`), offerLabels()]);
    if (current !== listing) return;
    for (const item of page.items) if (!tiles.has(item.id)) list.append(makeTile(item));
    current.emptyPages = page.items.length ? 0 : current.emptyPages + 1;
    current.cursor = page.next;
    current.ended = page.next === null;
    showEnd(current);
  } catch (error) {
    if (current !== listing) return;
    current.failed = true;
    setStatus(`Cannot load the history. ${error.message}`);
    offer("Try again");
  } finally {
    current.loading = false;
    if (current === listing) list.removeAttribute("aria-busy");
  }
}

/** Describe the end of the list, and load the next page once it scrolls into view. */
function showEnd(current) {
  if (current.ended) {
    const filtered = Object.keys(current.filter).length > 0;
    if (tiles.size) setStatus(`End of the list: ${count(tiles.size, "prediction")}.`);
    else setStatus(filtered ? "No predictions match the filter." : "No predictions yet.");
  } else if (current.emptyPages >= MAX_EMPTY_PAGES) {
    current.emptyPages = 0;
    setStatus(`No matches back to ${fullTime(timeOf(current.cursor))}.`);
    offer("Keep searching");
  } else {
    setStatus("");
    offer("Load older");
    // Observing it again reports the button even if it has not moved.
    endObserver.observe(moreButton);
  }
}

function setStatus(text) {
  if (status.textContent !== text) status.textContent = text;
}

function offer(text) {
  moreButton.textContent = text;
  moreButton.hidden = false;
}

function makeTile({ id, created_at, file_name, label, score, ground_truth }) {
  const tile = cloneTemplate("tile");
  const time = find("time", tile);
  tile.dataset.id = id;
  find("a", tile).href = `#${id}`;
  find("a", tile).title = file_name;
  find(".label", tile).textContent = label;
  find(".percent", tile).textContent = percent(score);
  time.textContent = shortTime(created_at);
  time.dateTime = created_at;
  time.title = fullTime(created_at);
  find(".truth", tile).textContent = describe(ground_truth, label);
  addLabel(label);
  tiles.set(id, tile);
  thumbnailObserver.observe(tile);
  return tile;
}

async function loadThumbnail(tile) {
  thumbnailObserver.unobserve(tile);
  try {
    const response = await call(`v1/predictions/${tile.dataset.id}/thumbnail`);
    showImage(find("img", tile), await response.blob());
  } catch {
    // The frame stays empty: thumbnails may be turned off.
  }
}

const offerLabels = async () => (await model()).labels.forEach(addLabel);

/** Add a label to the filter, in alphabetical order; earlier models may have had other labels. */
function addLabel(label) {
  const [, ...known] = find("select", form).options;
  if (known.some(({ value }) => value === label)) return;
  find("select", form).add(new Option(label, label), known.find(({ value }) => value > label) ?? null);
}

/** The time in a time-based id, in milliseconds since 1970. */
function timeOf(id) {
  const [low, middle, high] = id.split("-");
  return Number(BigInt(`0x${high.slice(1)}${middle}${low}`) / 10000n) - 12219292800000;
}

function matches({ created_at, label }) {
  const { filter } = listing;
  const time = new Date(created_at);
  return (
    (!filter.label || filter.label === label) &&
    (!filter.ground_truth || filter.ground_truth === "none") &&
    (!filter.since || time >= new Date(filter.since)) &&
    (!filter.until || time < new Date(filter.until))
  );
}

document.addEventListener("stored", ({ detail }) => {
  if (!listing || tiles.has(detail.id) || !matches(detail)) return;
  const older = Array.from(list.children).find((tile) => find("time", tile).dateTime < detail.created_at);
  list.insertBefore(makeTile(detail), older ?? null);
  if (listing.ended) showEnd(listing);
});
document.addEventListener("deleted", ({ detail }) => {
  tiles.get(detail)?.remove();
  tiles.delete(detail);
  if (listing?.ended) showEnd(listing);
});
document.addEventListener("judged", ({ detail: { id, ground_truth } }) => {
  const tile = tiles.get(id);
  if (ground_truth === undefined) stale = true;
  else if (tile) find(".truth", tile).textContent = describe(ground_truth, find(".label", tile).textContent);
});
document.addEventListener("token", () => listing?.failed && load(listing));
document.addEventListener("view", ({ detail }) => !detail.name && stale && restart());
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", restart);
form.addEventListener("focusout", () => {
  find("#filter-hint").textContent = form.checkValidity() ? "" : "To filter by time, complete the date and time.";
});
form.addEventListener("reset", () => {
  find("select", form).focus();
  setTimeout(restart);
});
moreButton.addEventListener("click", () => load(listing));
