// Quality: what the judgments say about a model version. A number that is not known is not shown.

import { callJson } from "./api.js";
import { calibrationCurve, confusionMatrix, figure, intervalBar, scrollable, table, timeline } from "./charts.js";
import { driftPanel } from "./drift.js";
import { model } from "./model.js";
import { count, find, make, number, share } from "./view.js";

// The server's rule, for the text.
const LEAST_JUDGED = 5;
// The confusion matrix shows the labels with the most judgments.
const MOST_LABELS = 20;
const section = find("[data-view=quality]");
const form = find("form", section);
const status = find(".status", section);
const retry = find(".again", section);
const panels = find(".panels", section);
let shown = null;

async function load(parameters) {
  shown = parameters;
  retry.hidden = true;
  status.textContent = "Loading…";
  try {
    const [evaluation] = await Promise.all([callJson(`v1/evaluations?${parameters}`), model()]);
    if (parameters !== shown) return;
    fillForm(evaluation);
    panels.replaceChildren(...makePanels(evaluation));
    status.textContent = "";
  } catch (error) {
    if (parameters !== shown) return;
    panels.replaceChildren();
    status.textContent = `Cannot load the evaluation. ${error.message}`;
    retry.hidden = false;
  }
}

const versionOf = ({ name, version }) => `${name}/${version}`;

function fillForm({ model: shownModel, models, since, until }) {
  const { model_version: select } = form.elements;
  const known = new Set([shownModel, ...models].map(versionOf));
  select.replaceChildren(...Array.from(known, (version) => new Option(version.replace("/", " "), version)));
  select.value = versionOf(shownModel);
  form.elements.since.value = since;
  form.elements.until.value = until;
}

function makePanels(evaluation) {
  return [
    panel("Accuracy", ...accuracy(evaluation)),
    drift(versionOf(evaluation.model)),
    panel("Predictions and judgments", ...overTime(evaluation)),
    ...(evaluation.judged ? judgedPanels(evaluation) : []),
  ];
}

function judgedPanels(evaluation) {
  return [panel("Labels", ...labels(evaluation)), panel("Confusion matrix", ...confusion(evaluation)), panel("Calibration", ...calibration(evaluation))];
}

function panel(title, ...content) {
  return make("section", { className: "panel", ariaLabel: title }, make("h3", {}, title), ...content);
}

function drift(version) {
  const made = panel("Drift");
  const fill = async () => {
    const content = await driftPanel(version, fill).catch((error) => [make("p", { className: "small" }, error.message)]);
    made.replaceChildren(make("h3", {}, "Drift"), ...content);
  };
  fill();
  return made;
}

const interval = ([low, high]) => `${share(low)} to ${share(high)}`;
const small = (...content) => make("p", { className: "small" }, ...content);

function accuracy(evaluation) {
  const { judged, unclear, waiting, sampled, population_size: population, days, days_covered: covered } = evaluation;
  if (!sampled) return [make("p", {}, "No predictions of this version were sampled in this period.")];
  const known = evaluation.accuracy.estimate !== null;
  const counts = `${count(judged, "judgment")}${unclear ? `, ${number(unclear)} of them unclear` : ""}, for about ${count(Math.round(population), "prediction")} on ${count(days, "day")}${judged ? ` (${number(covered)} with judgments)` : ""}.`;
  return [
    ...(known ? measured(evaluation.accuracy) : estimated(evaluation)),
    small(known ? `From ${counts}` : counts),
    ...(known && unclear ? [small("The interval allows for both cases: that the model is right on all unclear images, and that it is wrong on all of them.")] : []),
    ...(waiting ? [small(`${count(waiting, "more judgment")} will count once review reaches ${waiting === 1 ? "its image" : "their images"}.`)] : []),
    make("p", {}, make("a", { href: `#review?${shown}` }, "Review images")),
  ];
}

function measured(known) {
  return [make("p", { className: "big" }, share(known.estimate)), intervalBar(known), make("p", {}, `95% interval: ${interval(known.confidence_interval)}`)];
}

function estimated({ judged, estimated_accuracy: signal }) {
  const missing = LEAST_JUDGED - judged;
  return [
    make("p", { className: "big" }, "Not known yet"),
    make("p", {}, missing > 0 ? `${count(missing, "more judgment")} in the order of review ${missing === 1 ? "is" : "are"} needed for an estimate.` : "Too few judgments are clear for an estimate."),
    ...(signal === null ? [] : [make("p", { className: "signal" }, make("strong", {}, `Signal: ${share(signal)}`), " would be right if the scores were exact. No judgment supports this.")]),
  ];
}

function overTime({ since, until, daily }) {
  const known = new Map(daily.map((entry) => [entry.day, entry]));
  const each = (name, key) => timeline(name, { since, until }, (text) => Math.round(known.get(text)?.[key] ?? 0));
  return [each("Predictions", "predictions"), each("Judgments", "judged")];
}

function labels({ precision, recall }) {
  const names = Object.keys(precision).filter((name) => precision[name].n || recall[name].n);
  const rows = names.map((name) => [name, shareCell(precision[name]), shareCell(recall[name])]);
  return [
    scrollable("Labels, table", table("Precision and recall of each label", ["Label", "Precision", "Recall"], rows)),
    small("Precision: of the predictions with this label, the share that is right. Recall: of the images that show this label, the share that the model finds. Below each share: the 95% interval and the number of judgments."),
  ];
}

function shareCell(one) {
  const judged = `${number(one.n)} judged`;
  if (one.estimate === null) return small(judged);
  return make("div", {}, share(one.estimate), intervalBar(one), small(`${interval(one.confidence_interval)}, ${judged}`));
}

function confusion({ confusion_matrix: { labels: names, counts } }) {
  const totals = names.map((_, place) => counts.reduce((sum, row, other) => sum + row[place] + (other === place ? 0 : counts[place][other]), 0));
  const used = names.map((_, place) => place).filter((place) => totals[place]);
  const places = used.toSorted((a, b) => totals[b] - totals[a]).slice(0, MOST_LABELS).toSorted((a, b) => a - b);
  const cells = used.flatMap((row) => used.map((column) => [names[row], names[column], counts[row][column]])).filter(([, , value]) => value);
  const rows = cells.toSorted((a, b) => b[2] - a[2]).map(([truth, said, value]) => [truth, said, number(value)]);
  return [
    figure("Confusion matrix", confusionMatrix(names, counts, places), table("Confusion matrix", ["The image shows", "The model said", "Judgments"], rows)),
    small(`Down: what the images show. Across: what the model said. Numbers are judgments.${used.length > places.length ? ` Of ${used.length} labels, the chart has those with the most judgments.` : ""}`),
  ];
}

function calibration(evaluation) {
  const { calibration_curve: bins, expected_calibration_error: error, brier_score: brier, calibration_slope: slope } = evaluation;
  if (!bins.length) return [make("p", {}, `Not known yet: this takes at least ${LEAST_JUDGED} clear judgments.`)];
  const rows = bins.map((bin) => [share(bin.score), share(bin.accuracy), interval(bin.confidence_interval), number(bin.n)]);
  const known = { "Calibration error": error.toFixed(3), "Brier score": brier.toFixed(3), ...(slope !== null && { Slope: `${slope.toFixed(2)} (1 is ideal, less is overconfident)` }) };
  return [
    figure("Calibration curve", calibrationCurve(bins), table("Calibration curve", ["Mean score", "Right", "95% interval", "Judgments"], rows)),
    small("How often predictions with about the same score are right. On the dashed line, a score of 80% is right 80% of the time."),
    make("dl", {}, ...Object.entries(known).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)])),
  ];
}

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("change", () => {
  if (form.checkValidity()) location.hash = `quality?${new URLSearchParams(new FormData(form))}`;
});
retry.addEventListener("click", () => load(shown));
document.addEventListener("view", ({ detail: { name, parameters } }) => {
  if (name === "quality") load(String(parameters));
});
