// The bearer token, kept in this tab only.

import { emit, find } from "./view.js";

const KEY = "lookbook-token";
const dialog = find("#token");
const input = find("input", dialog);
const forgetButton = find("#forget-token");
let pending = null;

export const token = () => sessionStorage.getItem(KEY);

/** The header for a token: its UTF-8 bytes as Latin-1, because header values may have no other characters. */
export const bearer = (value) => ({ Authorization: `Bearer ${String.fromCharCode(...new TextEncoder().encode(value))}` });

function save(value) {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  forgetButton.hidden = !value;
}

/** Ask for a token, once for all requests that need it; resolves to false if the person cancels. */
export function askForToken() {
  pending ??= new Promise((resolve) => {
    find(".status", dialog).textContent = token() ? "This token is not valid. Check it, or ask for a new one." : "";
    save(null);
    input.value = "";
    dialog.onclose = () => {
      pending = null;
      resolve(token() !== null);
    };
    dialog.showModal();
  });
  return pending;
}

find("form", dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  save(input.value.trim());
  input.value = "";
  dialog.close();
  emit("token");
});
find(".cancel", dialog).addEventListener("click", () => dialog.close());
forgetButton.addEventListener("click", () => {
  save(null);
  location.reload();
});
save(token());
