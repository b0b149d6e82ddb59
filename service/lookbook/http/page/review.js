// Review: one image after the other. What the model said is hidden until the person has chosen.

import { askForName, rememberedName } from "./annotator.js";
import { Choices } from "./choices.js";
import { model } from "./model.js";
import { Queue } from "./queue.js";
import { identify, judge, withdraw } from "./truths.js";
import { count, emit, find, percent } from "./view.js";

const MOST_UNDONE = 50;
const SETTING_KEY = "lookbook-show-prediction";
const section = find("[data-view=review]");
const desk = find(".desk", section);
const frame = find(".frame", desk);
const input = find("form input", desk);
const hint = find(".hint", desk);
const result = find(".result", section);
const status = find(".status", section);
const againButton = find(".again", section);
const undoButton = find(".undo", section);
const nameButton = find(".rename", section);
const setting = find(".setting input", section);
const choices = new Choices(input, find("[role=listbox]", desk), confirm);
let queue = null;
let current = null;
// What was judged and can be undone, oldest first.
let done = [];
// Requests one after the other: a judgment is stored before it is withdrawn.
let sent = Promise.resolve();
// How many judgments the server is behind.
let pending = 0;

function start(parameters) {
  queue = new Queue(parameters);
  advance();
}

function enqueue(action) {
  const run = sent.then(action);
  sent = run.catch(() => null);
  return run;
}

function fill(wanted = queue) {
  return enqueue(async () => {
    await wanted.fill();
    wanted.remaining -= pending;
    showCounts();
  });
}

/** Show the next image; at once if it was loaded ahead. */
async function advance() {
  current = null;
  const wanted = queue;
  if (queue.isStale) {
    showNone("Loading…");
    try {
      await Promise.all([model().then(({ labels }) => choices.setLabels(labels)), fill()]);
    } catch (error) {
      if (wanted === queue && !current) showNone(error.message, "Try again");
      return;
    }
    // Meanwhile, the person may have undone a judgment, or the server may have refused one.
    if (wanted !== queue || current) return;
  }
  const item = queue.next();
  if (!item) return showEnd();
  show(item);
  if (queue.isLow) fill().catch(() => null);
}

function show(item, message = "") {
  current = item;
  status.textContent = message;
  againButton.hidden = true;
  desk.hidden = false;
  showPicture(item);
  if (!item.isLoaded) item.loaded.then(() => item === current && showPicture(item));
  choices.choose("");
  showCounts();
  focus();
}

function showPicture(item) {
  frame.replaceChildren(...(item.picture ? [item.picture] : []));
  const missing = item.isLoaded && !item.picture ? "No image of this prediction is kept. Choose “Unclear”. " : "";
  hint.textContent = missing + (item.isLoaded && setting.checked ? describeModel(item) : "");
}

/** Touch screens would open their keyboard. */
const focus = () => matchMedia("(pointer: fine)").matches && input.focus({ preventScroll: true });

function showNone(message, offer) {
  desk.hidden = true;
  status.textContent = message;
  againButton.hidden = !offer;
  againButton.textContent = offer ?? "";
}

function showEnd() {
  const { remaining } = queue;
  if (remaining > 0) {
    showNone(`The last ${remaining === 1 ? "image is" : `${remaining} images are`} in other tabs or with other reviewers. Images that are not judged come back in two minutes.`, "Try again");
  } else {
    showNone("Nothing is left to review. New predictions join the sample as they are made.", "Look again");
  }
}

function showCounts() {
  find(".remaining", section).textContent = queue.remaining === null ? "" : `${count(Math.max(queue.remaining, 0), "image")} left`;
  const name = queue.tokenName ?? rememberedName();
  nameButton.hidden = name === null;
  nameButton.disabled = Boolean(queue.tokenName);
  nameButton.textContent = name ? `Reviewing as ${name}` : "Reviewing without a name";
  undoButton.disabled = !done.length;
}

function describeModel({ label, score, candidate }) {
  const other = candidate ? ` The candidate said ${candidate.label}, ${percent(candidate.score)}.` : "";
  return `The model said ${label}, ${percent(score)}.${other}`;
}

/** Judge the current image, and move on to the next one while the judgment is being stored; undefined: unclear. */
async function confirm(label) {
  const item = current;
  if (!item?.isLoaded) return;
  const named = await identify(queue.tokenName);
  if (!named || item !== current) return;
  done = [...done, item].slice(-MOST_UNDONE);
  queue.remaining -= 1;
  result.textContent = `${label === item.label ? "✓ " : ""}You said ${label ?? "unclear"}. ${describeModel(item)}`;
  pending += 1;
  save(item, label, named);
  advance();
}

async function save(item, label, named) {
  try {
    item.judgment = (await enqueue(() => judge(item.id, label, named))).id;
    emit("judged", { id: item.id });
  } catch (error) {
    if (done.includes(item)) refuse(item, label, error);
  } finally {
    pending -= 1;
  }
}

/** Show an image again because the server refused its judgment, unless the image is gone. */
function refuse(item, label, error) {
  done = done.filter((other) => other !== item);
  result.textContent = "";
  if (error.status === 404 || error.status === 409) {
    status.textContent = error.status === 404 ? "The previous prediction has been deleted." : error.message;
    showCounts();
    return;
  }
  queue.remaining += 1;
  if (current) queue.putBack(current);
  show(item, `Not saved. ${error.message}`);
  if (label !== undefined) choices.choose(label);
}

/** Withdraw the last judgment, and show its image again. */
async function undo() {
  const item = done.pop();
  if (!item) {
    status.textContent = "There is nothing to undo.";
    return;
  }
  queue.remaining += 1;
  pending -= 1;
  if (current) queue.putBack(current);
  result.textContent = "Your last judgment is withdrawn.";
  show(item);
  try {
    await enqueue(() => item.judgment && withdraw(item.id, item.judgment));
    emit("judged", { id: item.id });
  } catch (error) {
    result.textContent = "";
    status.textContent = `Not withdrawn. ${error.message}`;
  } finally {
    item.judgment = null;
    pending += 1;
  }
}

/** Whether the key does something other than typing. */
function press(key) {
  if (key === "?") confirm();
  else if (key === "Escape") choices.choose("");
  else if (key === "Backspace" && !input.value && choices.chosen !== null) choices.choose("");
  else if (key === "Backspace" && !input.value) undo();
  else return choices.press(key);
  return true;
}

input.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (press(event.key)) event.preventDefault();
});
find("form", desk).addEventListener("submit", (event) => {
  event.preventDefault();
  if (choices.chosen === null) status.textContent = "Choose a label first.";
  else confirm(choices.chosen);
});
find(".unclear", desk).addEventListener("click", () => confirm());
undoButton.addEventListener("click", undo);
againButton.addEventListener("click", () => start(queue.parameters));
nameButton.addEventListener("click", async () => {
  await askForName();
  showCounts();
});
setting.checked = localStorage.getItem(SETTING_KEY) !== null;
setting.addEventListener("change", () => {
  if (setting.checked) localStorage.setItem(SETTING_KEY, "yes");
  else localStorage.removeItem(SETTING_KEY);
  if (current) showPicture(current);
});
// Judgments that are not stored yet would be lost.
addEventListener("beforeunload", (event) => pending && event.preventDefault());
document.addEventListener("view", ({ detail: { name, parameters } }) => {
  if (name !== "review") return;
  if (String(queue?.parameters) === String(parameters)) {
    if (current) focus();
    else advance();
    return;
  }
  done = [];
  result.textContent = "";
  start(parameters);
});
