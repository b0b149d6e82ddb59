// One record, on its own address: the page's, with #<id>.

import { call } from "./calls.js";
import { token } from "./token.js";
import { announce, find, fullTime, say, scores, show } from "./view.js";

const ID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;
const dialog = find("#record");
const title = find("h2", dialog);
const status = find(".status", dialog);
const details = find(".details", dialog);
const confirm = find(".confirm", dialog);
const image = find("img", dialog);
let shown = null;

/** Open the record that the address names, or none. */
export function route() {
  const id = ID.exec(location.hash)?.[1].toLowerCase() ?? null;
  if (id) open(id);
  else if (dialog.open) dialog.close();
}

async function open(id) {
  shown = id;
  title.textContent = "Loading…";
  document.title = "Lookbook";
  find(".scores", dialog).replaceChildren();
  details.hidden = true;
  image.hidden = true;
  ask(false);
  if (!dialog.open) dialog.showModal();
  try {
    const record = await (await call(`v1/predictions/${id}`)).json();
    if (id !== shown) return;
    fill(record);
    const picture = await call(`v1/predictions/${id}/thumbnail`).then((response) => response.blob(), () => null);
    if (id === shown && picture) show(image, picture);
  } catch (refusal) {
    if (id !== shown) return;
    title.textContent = refusal.status === 404 ? "There is no such record" : "The record cannot be shown";
    status.textContent = refusal.message;
  }
}

function fill({ id, created_at, file_name, label, top, model }) {
  title.textContent = label;
  document.title = `${label} · Lookbook`;
  find(".scores", dialog).replaceChildren(...scores(top));
  const rows = { Picture: file_name || "without a name", Time: fullTime(created_at), Model: `${model.name} ${model.version}`, Id: id };
  find("dl", dialog).replaceChildren(...Object.entries(rows).flatMap(([term, text]) => [element("dt", term), element("dd", text)]));
  find("pre", dialog).textContent = command(id);
  details.hidden = false;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

/** The token itself stays out of the clipboard and of the shell's history. */
function command(id) {
  const header = token() ? '-H "Authorization: Bearer $TOKEN" ' : "";
  return `curl ${header}"${new URL(`v1/predictions/${id}`, document.baseURI)}"`;
}

async function copy() {
  const text = find("pre", dialog);
  try {
    await navigator.clipboard.writeText(text.textContent);
    status.textContent = token() ? "Copied. It reads the token from $TOKEN." : "Copied.";
  } catch {
    // Without TLS there is no clipboard to write to.
    getSelection().selectAllChildren(text);
    status.textContent = "Selected, ready to be copied.";
  }
}

function ask(yes) {
  confirm.hidden = !yes;
  status.textContent = "";
  find(".copy", dialog).parentElement.hidden = yes;
}

async function remove() {
  const id = shown;
  try {
    await call(`v1/predictions/${id}`, "DELETE").catch((refusal) => {
      if (refusal.status !== 404) throw refusal;
    });
    announce("deleted", id);
    dialog.close();
    find("#history").focus();
    say("The record is deleted.");
  } catch (refusal) {
    status.textContent = refusal.message;
  }
}

find(".copy", dialog).addEventListener("click", copy);
find(".delete", dialog).addEventListener("click", () => {
  ask(true);
  find(".no", dialog).focus();
});
find(".no", dialog).addEventListener("click", () => {
  ask(false);
  find(".delete", dialog).focus();
});
find(".yes", dialog).addEventListener("click", remove);
find(".close", dialog).addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  shown = null;
  document.title = "Lookbook";
  if (ID.test(location.hash)) history.replaceState(null, "", location.pathname + location.search);
});
