// Who judges: the name that the person gives once, unless the token has one.

import { find } from "./view.js";

const KEY = "lookbook-annotator";
const dialog = find("#annotator");
const form = find("form", dialog);

/** The name that the person gave, possibly empty; null if nobody was asked. */
export const rememberedName = () => localStorage.getItem(KEY);

/** Ask for the name; resolves to null if the person cancels. */
export function askForName() {
  form.elements.name.value = rememberedName() ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "named" ? rememberedName() : null);
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  localStorage.setItem(KEY, form.elements.name.value.trim());
  dialog.close("named");
});
find(".cancel", dialog).addEventListener("click", () => dialog.close());
