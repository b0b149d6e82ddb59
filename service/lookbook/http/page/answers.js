// Pictures on their way, and their answers: a card each.

import { classify, newKey } from "./calls.js";
import { announce, count, find, percent, say, scores, show, stamp } from "./view.js";

const AT_ONCE = 3;
const section = find("#answers");
const list = find(".cards", section);
const waiting = [];
let running = 0;

/** Classify the files, in their order, a request each. */
export function take(files) {
  const cards = Array.from(files, (file) => {
    const card = stamp("card");
    find(".name", card).textContent = file.name;
    find("progress", card).ariaLabel = `Sending ${file.name}`;
    show(find("img", card), file);
    const job = { file, card, key: newKey() };
    find(".again", card).addEventListener("click", () => {
      card.focus();
      enqueue(job);
    });
    enqueue(job);
    return card;
  });
  list.prepend(...cards);
  section.hidden = false;
  tell();
  if (cards.length) cards[0].scrollIntoView({ block: "nearest" });
}

function enqueue(job) {
  set(job.card, "waiting", "Waiting for its turn");
  waiting.push(job);
  proceed();
}

async function proceed() {
  if (running >= AT_ONCE || !waiting.length) return;
  running += 1;
  await work(waiting.shift());
  running -= 1;
  tell();
  if (!running && !waiting.length) say(find("#tally").textContent);
  proceed();
}

async function work({ file, card, key }) {
  const bar = find("progress", card);
  const progress = (part) => {
    if (part < 1) bar.value = part;
    else bar.removeAttribute("value");
    set(card, "sending", part < 1 ? `Sending, ${Math.floor(part * 100)}%` : "Looking at it");
  };
  try {
    progress(0);
    const [prediction, took] = await classify(file, key, progress, (refusal) =>
      set(card, "waiting", `${refusal.message} Trying again in a moment.`),
    );
    answer(card, prediction, took);
  } catch (refusal) {
    refuse(card, file, refusal);
  }
}

function answer(card, prediction, took) {
  const { id, label, score, top, model } = prediction;
  set(card, "answered", `${model.name} ${model.version} · ${Math.round(took)}\u00a0ms`);
  card.dataset.id = id;
  const link = document.createElement("a");
  link.href = `#${id}`;
  link.textContent = label;
  find("h3", card).replaceChildren(link);
  find(".scores", card).replaceChildren(...scores(top));
  say(`${find(".name", card).textContent}: ${label}, ${percent(score)}`);
  announce("stored", prediction);
}

function refuse(card, file, refusal) {
  set(card, "refused", refusal.message);
  find("h3", card).textContent = "Not classified";
  // What is no Refusal is an answer that broke off.
  find(".again", card).hidden = refusal.passing === false;
  say(`${file.name}: not classified. ${refusal.message}`);
}

function set(card, state, text) {
  card.dataset.state = state;
  find("h3", card).textContent = "";
  find(".small", card).textContent = text;
  find(".again", card).hidden = true;
  find("progress", card).hidden = state === "answered" || state === "refused";
}

/** How many are where; nothing is left to clear while all are on their way. */
function tell() {
  const number = (state) => list.querySelectorAll(`[data-state=${state}]`).length;
  const [answered, refused] = [number("answered"), number("refused")];
  const left = list.children.length - answered - refused;
  const parts = [[left, "to go"], [answered, "answered"], [refused, "refused"]].filter(([many]) => many);
  find("#tally").textContent = `${count(list.children.length, "picture")}: ${parts.map((part) => part.join(" ")).join(", ")}`;
  find("#clear").hidden = !(answered + refused);
  section.hidden = !list.children.length;
}

find("#clear").addEventListener("click", () => {
  for (const card of list.querySelectorAll("[data-state=answered], [data-state=refused]")) card.remove();
  tell();
  find("#choose").focus();
});
document.addEventListener("deleted", ({ detail }) => {
  find(`[data-id="${detail}"]`, list)?.remove();
  tell();
});
