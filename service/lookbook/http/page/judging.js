// The ground truth in a prediction's dialog: what people said, and what the visitor says.

import { rememberedName } from "./annotator.js";
import { model } from "./model.js";
import { describe, identify, judge, readTruths, withdraw } from "./truths.js";
import { count, emit, find, fullTime, make } from "./view.js";

const section = find("#prediction .truth");
const settled = find(".settled", section);
const form = find("form", section);
const all = find("details", section);
let shown = null;
// The name of the visitor's token; null if it has none.
let tokenName = null;

/** Show the prediction's ground truth, and load its judgments. */
export async function showTruths(prediction) {
  shown = prediction;
  form.reset();
  all.hidden = true;
  showSettled(prediction.ground_truth);
  model().catch(() => null);
  await load();
}

function showSettled(truth) {
  settled.textContent = truth ? `${describe(truth, shown.label)} (${count(truth.judgments, "judgment")})` : "Not judged yet.";
}

async function load() {
  const prediction = shown;
  try {
    const { items, ground_truth, annotator } = await readTruths(prediction.id);
    if (prediction !== shown) return;
    tokenName = annotator;
    showSettled(ground_truth);
    all.hidden = !items.length;
    find("summary", all).textContent = `All judgments (${items.length})`;
    find("ul", all).replaceChildren(...items.map(row));
    emit("judged", { id: prediction.id, ground_truth });
  } catch (error) {
    if (prediction === shown) settled.textContent = error.message;
  }
}

function row({ id, created_at, annotator, label, withdrawn_at }) {
  const said = `${label ?? "Unclear"} · ${annotator || "no name"} · ${fullTime(created_at)}`;
  if (withdrawn_at) return make("li", {}, make("s", {}, said), " withdrawn");
  const line = make("li", {}, said);
  if (annotator === (tokenName ?? rememberedName())) {
    const button = make("button", { type: "button", className: "quiet" }, "Withdraw");
    button.addEventListener("click", () => change((prediction) => withdraw(prediction.id, id)));
    line.append(" ", button);
  }
  return line;
}

/** Send something, and show the result. */
async function change(send) {
  const prediction = shown;
  try {
    await send(prediction);
    if (prediction !== shown) return;
    form.reset();
    find("h3", section).focus();
    await load();
  } catch (error) {
    if (prediction === shown) settled.textContent = error.message;
  }
}

async function say(label) {
  const named = await identify(tokenName);
  if (named) change((prediction) => judge(prediction.id, label, named));
}

find(".right", form).addEventListener("click", () => say(shown.label));
find(".unclear", form).addEventListener("click", () => say());
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const label = form.elements.shows.value.trim();
  if (label) say(label);
});
