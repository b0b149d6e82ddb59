// The bearer token, kept in this tab alone.

import { announce, find } from "./view.js";

const KEY = "lookbook-token";
const dialog = find("#token");
const input = find("input", dialog);
const forgetting = find("#forget");
let asking = null;

export const token = () => sessionStorage.getItem(KEY);

/** The header for a token; its bytes in UTF-8, each as a character: a header takes no others. */
export const bearer = (value) => ({ Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(value))}` });

function keep(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  forgetting.hidden = !value;
}

/** Ask the person for a token, once for all calls that need it; false where none is given. */
export function askToken() {
  asking ??= new Promise((resolve) => {
    find(".status", dialog).textContent = token() ? "The service did not accept this token." : "";
    keep(null);
    input.value = "";
    dialog.onclose = () => {
      asking = null;
      resolve(token() !== null);
    };
    dialog.showModal();
  });
  return asking;
}

find("form", dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  keep(input.value.trim());
  input.value = "";
  dialog.close();
  announce("token");
});
find(".cancel", dialog).addEventListener("click", () => dialog.close());
forgetting.addEventListener("click", () => {
  keep(null);
  location.reload();
});
keep(token());
