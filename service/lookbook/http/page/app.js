// Where the page's parts meet: what comes in, by hand, drop or paste, and from the address.

import { take } from "./answers.js";
import { restart } from "./history.js";
import { route } from "./record.js";
import { find } from "./view.js";

for (const [button, input] of [[find("#choose"), find("#files")], [find("#photograph"), find("#camera")]]) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
}

const asked = () => find("dialog[open]");
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

// Always held back: the browser would leave the page for a picture that misses.
addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = asked() ? "none" : "copy";
  document.body.classList.toggle("dropping", !asked());
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!asked()) take(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  if (asked() || !event.clipboardData.files.length) return;
  event.preventDefault();
  take(event.clipboardData.files);
});
addEventListener("hashchange", route);
route();
restart();
