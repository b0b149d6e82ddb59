// Pictures as inline SVG, each with a table of the same numbers behind it.

import { day, make, number } from "./view.js";

const NAMESPACE = "http://www.w3.org/2000/svg";
const CELL = 30;
const MARGIN = 112;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A table with a caption for screen readers; `rows` hold texts or elements, the first of each is its heading. */
export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((cell) => make("td", {}, cell))),
  );
  return make("table", {}, make("caption", { className: "visually-hidden" }, caption), make("thead", {}, head), make("tbody", {}, ...body));
}

/** A picture over its table; wide ones scroll. */
export function figure(name, picture, contents) {
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `${name}; the numbers are in the table below`);
  return make("figure", {}, scrollable(`${name}, chart`, picture), make("details", {}, make("summary", {}, "Show as a table"), scrollable(`${name}, table`, contents)));
}

export function scrollable(name, content) {
  return make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: name }, content);
}

/** An interval from 0 to 1 as a line, with a dot at the estimate. */
export function intervalBar({ estimate, confidence_interval: [low, high] }) {
  return svg(
    "svg",
    { class: "interval", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "well", width: 100, height: 8 }),
    svg("rect", { class: "range", x: 100 * low, width: Math.max(100 * (high - low), 1), height: 8 }),
    svg("rect", { class: "point", x: Math.min(100 * estimate, 99), width: 1, height: 8 }),
  );
}

/** One bar for each value. */
export function bars(values) {
  const most = Math.max(...values, 1);
  const rects = values.map((value, place) =>
    svg("rect", { class: "bar", x: place + 0.1, width: 0.8, y: 100 - (100 * value) / most, height: (100 * value) / most }),
  );
  return svg("svg", { class: "bars", viewBox: `0 0 ${values.length} 100`, preserveAspectRatio: "none" }, ...rects);
}

/** Ground truths down, labels of the predictions across; `places` are those of the labels to show. */
export function confusionMatrix(labels, counts, places) {
  const size = MARGIN + CELL * places.length;
  const picture = svg("svg", { class: "matrix", viewBox: `0 0 ${size} ${size}`, width: size, height: size });
  places.forEach((row, y) => {
    const total = counts[row].reduce((sum, value) => sum + value, 0);
    const middle = MARGIN + CELL * (y + 0.5);
    picture.append(axisLabel(labels[row], { x: MARGIN - 6, y: middle + 4, "text-anchor": "end" }));
    picture.append(axisLabel(labels[row], { transform: `translate(${middle + 4} ${MARGIN - 6}) rotate(-90)` }));
    places.forEach((column, x) => picture.append(...cell(x, y, counts[row][column], total)));
  });
  return picture;
}

const axisLabel = (text, attributes) => svg("text", attributes, text.length > 16 ? `${text.slice(0, 15)}…` : text);

function cell(x, y, value, total) {
  const [left, top] = [MARGIN + CELL * x, MARGIN + CELL * y];
  const box = { x: left + 1, y: top + 1, width: CELL - 2, height: CELL - 2, rx: 3 };
  const filled = svg("rect", { class: x === y ? "right" : "wrong", "fill-opacity": total ? (0.6 * value) / total : 0, ...box });
  const text = svg("text", { x: left + CELL / 2, y: top + CELL / 2 + 4, "text-anchor": "middle" }, value ? number(value) : "");
  return [svg("rect", { class: "well", ...box }), filled, text];
}

/** How often predictions of about the same score are right; on the diagonal, scores are calibrated. */
export function calibrationCurve(bins) {
  const x = (value) => 14 + 100 * value;
  const y = (value) => 104 - 100 * value;
  const picture = svg("svg", { class: "calibration", viewBox: "0 0 120 120" });
  picture.append(svg("rect", { class: "well", x: x(0), y: y(1), width: 100, height: 100 }), svg("path", { class: "diagonal", d: `M${x(0)} ${y(0)}L${x(1)} ${y(1)}` }));
  for (const value of [0, 0.5, 1]) {
    picture.append(svg("text", { x: x(value), y: 111, "text-anchor": "middle" }, `${100 * value}%`), svg("text", { x: 12, y: y(value) + 2, "text-anchor": "end" }, `${100 * value}%`));
  }
  picture.append(svg("text", { x: x(0.5), y: 118, "text-anchor": "middle" }, "Score"));
  picture.append(svg("path", { class: "curve", d: `M${bins.map((bin) => `${x(bin.score)} ${y(bin.accuracy)}`).join("L")}` }));
  for (const { score, accuracy, confidence_interval: [low, high] } of bins) {
    picture.append(svg("path", { class: "whisker", d: `M${x(score)} ${y(low)}V${y(high)}` }), svg("circle", { class: "point", cx: x(score), cy: y(accuracy), r: 1.6 }));
  }
  return picture;
}

/** Bars for every day of the window, including days without predictions. */
export function timeline(name, { since, until }, valueOf) {
  const days = [];
  for (let time = Date.parse(since); time <= Date.parse(until); time += 86_400_000) days.push(new Date(time).toISOString().slice(0, 10));
  const values = days.map(valueOf);
  const rows = days.map((text, place) => [day(text), number(values[place])]).reverse();
  const made = figure(`${name} per day`, bars(values), table(`${name} per day`, ["Day", name], rows));
  made.prepend(make("figcaption", {}, make("strong", {}, name), ` per day, ${day(since)} to ${day(until)}; at most ${number(Math.max(...values, 0))}`));
  return made;
}
