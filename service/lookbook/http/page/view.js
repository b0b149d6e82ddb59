// What the parts of the page share: finding, making and wording.

export const find = (selector, within = document) => within.querySelector(selector);

/** A copy of a template's one element. */
export const stamp = (name) => find(`#${name}`).content.firstElementChild.cloneNode(true);

const PERCENT = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

export const percent = (score) => (score < 0.0005 ? "<0.1%" : PERCENT.format(score));
export const fullTime = (moment) => FULL.format(new Date(moment));

/** As much of a time as tells it from now. */
export function shortTime(moment) {
  const [time, now] = [new Date(moment), new Date()];
  if (time.toDateString() === now.toDateString()) return CLOCK.format(time);
  return time.getFullYear() === now.getFullYear() ? `${DAY.format(time)}, ${CLOCK.format(time)}` : DATE.format(time);
}

export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** One row with a bar for each of a prediction's best labels. */
export function scores(top) {
  return top.map(({ label, score }) => {
    const row = stamp("score");
    find(".label", row).textContent = label;
    find("meter", row).value = score;
    find(".percent", row).textContent = percent(score);
    return row;
  });
}

/** Show a picture of which the bytes are here; its address is given back once it is drawn, or cannot be. */
export function show(image, blob) {
  const address = URL.createObjectURL(blob);
  image.onload = image.onerror = () => {
    URL.revokeObjectURL(address);
    image.hidden = !image.naturalWidth;
  };
  image.hidden = false;
  image.src = address;
}

/** Tell those who listen to the page. */
export const say = (text) => {
  find("#said").textContent = text;
};

/** Tell the parts of the page that a record was "stored" or "deleted", or that there is a "token". */
export const announce = (event, detail) => document.dispatchEvent(new CustomEvent(event, { detail }));
