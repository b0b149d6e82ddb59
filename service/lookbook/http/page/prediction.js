// The dialog for one prediction, which has an address: the page's, followed by #<id>.

import { call } from "./api.js";
import { showTruths } from "./judging.js";
import { viewTitle } from "./router.js";
import { token } from "./token.js";
import { announce, emit, find, fullTime, make, scoreRows, showImage } from "./view.js";

const ID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const dialog = find("#prediction");
const title = find("h2", dialog);
const status = find(".status", dialog);
const details = find(".details", dialog);
const confirmation = find(".confirm", dialog);
const frame = find(".frame", dialog);
const image = find("img", frame);
let shown = null;
// How many steps back in the browser's history lead to the page without the dialog; null if the visit began with it.
let steps = null;

const idInAddress = () => ID.exec(location.hash)?.[1].toLowerCase() ?? null;

/** Open the prediction that the address names, or close the dialog; returns whether it names one. */
export function showPrediction() {
  const id = idInAddress();
  if (!id) {
    steps = 0;
    reset();
    dialog.close();
    return false;
  }
  if (history.state) steps = history.state.steps;
  else if (steps !== null) steps += 1;
  history.replaceState({ steps }, "");
  open(id);
  return true;
}

function reset() {
  shown = null;
  document.title = viewTitle();
}

/** Take the prediction out of the address, so that Back leads to where the visitor was before. */
function leave() {
  if (steps) history.go(-steps);
  else history.replaceState(null, "", location.pathname + location.search);
  steps ??= 0;
}

async function open(id) {
  reset();
  shown = id;
  title.textContent = "Loading…";
  find(".scores", dialog).replaceChildren();
  details.hidden = true;
  image.hidden = true;
  frame.hidden = false;
  confirmDelete(false);
  if (!dialog.open) dialog.showModal();
  try {
    const prediction = await (await call(`v1/predictions/${id}`)).json();
    if (id !== shown) return;
    fill(prediction);
    const thumbnail = await call(`v1/predictions/${id}/thumbnail`).then((response) => response.blob(), () => null);
    if (id === shown && thumbnail) showImage(image, thumbnail);
  } catch (error) {
    if (id !== shown) return;
    frame.hidden = true;
    title.textContent = error.status === 404 ? "Prediction not found" : "Cannot load the prediction";
    status.textContent = error.message;
  }
}

function fill(prediction) {
  const { id, created_at, file_name, label, top, model } = prediction;
  title.textContent = label;
  document.title = `${label} · Lookbook`;
  find(".scores", dialog).replaceChildren(...scoreRows(top));
  const rows = { File: file_name || "(no name)", Time: fullTime(created_at), Model: `${model.name} ${model.version}`, ID: id };
  find("dl", dialog).replaceChildren(...Object.entries(rows).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]));
  find("pre", dialog).textContent = command(id);
  details.hidden = false;
  showTruths(prediction);
}

/** The token itself stays out of the clipboard and the shell's history. */
function command(id) {
  const header = token() ? '-H "Authorization: Bearer $TOKEN" ' : "";
  return `curl ${header}"${new URL(`v1/predictions/${id}`, document.baseURI)}"`;
}

async function copy() {
  const text = find("pre", dialog);
  try {
    await navigator.clipboard.writeText(text.textContent);
    status.textContent = token() ? "Copied. Set TOKEN to your token before you run it." : "Copied.";
  } catch {
    // Without TLS there is no access to the clipboard.
    getSelection().selectAllChildren(text);
    status.textContent = "The command is selected. Press Ctrl+C (or ⌘C) to copy it.";
  }
}

function confirmDelete(ask) {
  confirmation.hidden = !ask;
  status.textContent = "";
  find(".copy", dialog).parentElement.hidden = ask;
}

async function remove() {
  const id = shown;
  try {
    await call(`v1/predictions/${id}`, "DELETE").catch((error) => {
      if (error.status !== 404) throw error;
    });
    emit("deleted", id);
    dialog.close();
    find("#history").focus();
    announce("The prediction was deleted.");
  } catch (error) {
    status.textContent = error.message;
  }
}

find(".copy", dialog).addEventListener("click", copy);
find(".delete", dialog).addEventListener("click", () => {
  confirmDelete(true);
  find(".no", dialog).focus();
});
find(".no", dialog).addEventListener("click", () => {
  confirmDelete(false);
  find(".delete", dialog).focus();
});
find(".yes", dialog).addEventListener("click", remove);
find(".close", dialog).addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  // Browsers send this event with the next frame. By then the address may have opened the dialog again, or left it.
  if (dialog.open || shown === null) return;
  if (idInAddress() === shown) leave();
  reset();
});
