// Helpers that the other modules share: finding, creating, and formatting.

export const find = (selector, within = document) => within.querySelector(selector);

/** A copy of the template's only element. */
export const cloneTemplate = (name) => find(`#${name}`).content.firstElementChild.cloneNode(true);

/** A new element with these properties and children. */
export function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The page is in English: of the visitor's languages, only English ones decide how dates and numbers look.
const LOCALE = navigator.languages.find((tag) => /^en\b/i.test(tag)) ?? "en-US";
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const FULL = new Intl.DateTimeFormat(LOCALE, { dateStyle: "long", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(LOCALE, { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium" });
const UTC_DATE = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeZone: "UTC" });

export const percent = (score) => (score < 0.0005 ? "<0.1%" : PERCENT.format(score));
/** A share from 0 to 1, which may be 0. */
export const share = (value) => PERCENT.format(value);
export const number = (value) => value.toLocaleString(LOCALE);
/** A day such as 2026-11-01. */
export const day = (text) => UTC_DATE.format(new Date(text));
export const fullTime = (time) => FULL.format(new Date(time));

/** The parts of a time that differ from now: the clock today, the day this year, otherwise the date. */
export function shortTime(time) {
  const [then, now] = [new Date(time), new Date()];
  if (then.toDateString() === now.toDateString()) return CLOCK.format(then);
  return then.getFullYear() === now.getFullYear() ? DAY.format(then) : DATE.format(then);
}

export const count = (many, noun) => `${number(many)} ${noun}${many === 1 ? "" : "s"}`;

/** A row with a bar for each of a prediction's top labels. */
export function scoreRows(top) {
  return top.map(({ label, score }) => {
    const row = cloneTemplate("score");
    find(".label", row).textContent = label;
    find("meter", row).value = score;
    find(".percent", row).textContent = percent(score);
    return row;
  });
}

/** Show an image from memory; its object URL is revoked once decoding has succeeded or failed. */
export function showImage(image, blob) {
  const url = URL.createObjectURL(blob);
  image.onload = image.onerror = () => {
    URL.revokeObjectURL(url);
    image.hidden = !image.naturalWidth;
  };
  image.hidden = false;
  image.src = url;
}

/** Announce the text to screen readers. */
export const announce = (text) => {
  find("#announcement").textContent = text;
};

/** Notify the other modules: a prediction was "stored", "judged", or "deleted", there is a "token", or another "view". */
export const emit = (event, detail) => document.dispatchEvent(new CustomEvent(event, { detail }));
