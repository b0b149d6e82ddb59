// Uploads and their predictions, one card for each image.

import { classify, newKey } from "./api.js";
import { announce, cloneTemplate, count, emit, find, percent, scoreRows, showImage } from "./view.js";

const MAX_UPLOADS = 3;
const section = find("#predictions");
const list = find(".cards", section);
const tally = find("#tally");
const queue = [];
let running = 0;

/** Classify the files in order, with one request for each. */
export function classifyFiles(files) {
  const cards = Array.from(files, (file) => {
    const card = cloneTemplate("card");
    find(".name", card).textContent = file.name;
    find("progress", card).ariaLabel = `Uploading ${file.name}`;
    showImage(find("img", card), file);
    const upload = { file, card, key: newKey() };
    find(".retry", card).addEventListener("click", () => {
      card.focus();
      enqueue(upload);
    });
    enqueue(upload);
    return card;
  });
  list.prepend(...cards);
  updateTally();
  if (cards.length) cards[0].scrollIntoView({ block: "nearest" });
}

function enqueue(upload) {
  setState(upload.card, "waiting", "Waiting");
  queue.push(upload);
  startNext();
}

async function startNext() {
  if (running >= MAX_UPLOADS || !queue.length) return;
  running += 1;
  await run(queue.shift());
  running -= 1;
  updateTally();
  if (!running && !queue.length) announce(tally.textContent);
  startNext();
}

async function run({ file, card, key }) {
  const bar = find("progress", card);
  const onProgress = (fraction) => {
    if (fraction < 1) bar.value = fraction;
    else bar.removeAttribute("value");
    setState(card, "sending", fraction < 1 ? `Uploading: ${Math.floor(fraction * 100)}%` : "Classifying…");
  };
  const onRetry = (error) => setState(card, "waiting", `${error.message} Retrying…`);
  try {
    onProgress(0);
    const [prediction, took] = await classify(file, key, onProgress, onRetry);
    showPrediction(card, prediction, took);
  } catch (error) {
    showError(card, file, error);
  }
}

function showPrediction(card, prediction, took) {
  const { id, label, score, top, model } = prediction;
  setState(card, "classified", `${model.name} ${model.version} · ${Math.round(took)}\u00a0ms`);
  card.dataset.id = id;
  const link = document.createElement("a");
  link.href = `#${id}`;
  link.textContent = label;
  find("h3", card).replaceChildren(link);
  find(".scores", card).replaceChildren(...scoreRows(top));
  announce(`${find(".name", card).textContent}: ${label}, ${percent(score)}`);
  emit("stored", prediction);
}

function showError(card, file, error) {
  setState(card, "failed", error.message);
  find("h3", card).textContent = "Not classified";
  // An error other than ApiError comes from a response that was cut off.
  find(".retry", card).hidden = error.retryable === false;
  announce(`${file.name}: not classified. ${error.message}`);
}

function setState(card, state, text) {
  card.dataset.state = state;
  find("h3", card).textContent = "";
  find(".small", card).textContent = text;
  find(".retry", card).hidden = true;
  find("progress", card).hidden = state === "classified" || state === "failed";
}

/** Count the cards by state; offer to clear the list once a card is finished. */
function updateTally() {
  const number = (state) => list.querySelectorAll(`[data-state=${state}]`).length;
  const [classified, failed] = [number("classified"), number("failed")];
  const remaining = list.children.length - classified - failed;
  const parts = [[classified, "classified"], [failed, "failed"], [remaining, "remaining"]].filter(([many]) => many);
  tally.textContent = `${count(list.children.length, "image")}: ${parts.map((part) => part.join(" ")).join(", ")}`;
  find("#clear").hidden = !(classified + failed);
  section.hidden = !list.children.length;
}

find("#clear").addEventListener("click", () => {
  for (const card of list.querySelectorAll("[data-state=classified], [data-state=failed]")) card.remove();
  updateTally();
  find("#choose").focus();
});
document.addEventListener("deleted", ({ detail }) => {
  find(`[data-id="${detail}"]`, list)?.remove();
  updateTally();
});
