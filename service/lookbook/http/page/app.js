// The entry point: takes images from the file chooser, drag and drop, or the clipboard, and follows the address.

import "./history.js";
import { showPrediction } from "./prediction.js";
import { classifyFiles } from "./predictions.js";
import "./quality.js";
import "./review.js";
import { showView, viewName } from "./router.js";
import { find } from "./view.js";

for (const [button, input] of [[find("#choose"), find("#files")], [find("#take-photo"), find("#camera")]]) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    classifyFiles(input.files);
    input.value = "";
  });
}

const isElsewhere = () => viewName() !== "" || find("dialog[open]") !== null;
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

// The default action is always prevented: the browser would leave the page to open the file.
addEventListener("dragover", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = isElsewhere() ? "none" : "copy";
  document.body.classList.toggle("dropping", !isElsewhere());
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (!isElsewhere()) classifyFiles(event.dataTransfer.files);
});
addEventListener("paste", (event) => {
  if (isElsewhere() || !event.clipboardData.files.length) return;
  event.preventDefault();
  classifyFiles(event.clipboardData.files);
});
showView();
showPrediction();
addEventListener("hashchange", () => showPrediction() || showView());
