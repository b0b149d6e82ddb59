// The entry point: takes images from the file chooser, drag and drop, or the clipboard, and follows the address.

import { restart } from "./history.js";
import { route } from "./prediction.js";
import { classifyFiles } from "./predictions.js";
import { find } from "./view.js";

for (const [button, input] of [[find("#choose"), find("#files")], [find("#take-photo"), find("#camera")]]) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    classifyFiles(input.files);
    input.value = "";
  });
}

const isDialogOpen = () => find("dialog[open]") !== null;
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

// The default action is always prevented: the browser would leave the page to open the file.
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = isDialogOpen() ? "none" : "copy";
  document.body.classList.toggle("dropping", !isDialogOpen());
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!isDialogOpen()) classifyFiles(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  if (isDialogOpen() || !event.clipboardData.files.length) return;
  event.preventDefault();
  classifyFiles(event.clipboardData.files);
});
addEventListener("hashchange", route);
route();
restart();
