// The view that the address names: #review or #quality, with parameters as in a query; otherwise the first one.

import { emit, find } from "./view.js";

const views = document.querySelectorAll(".view");
const links = document.querySelectorAll("nav a");
let name = "";

/** The name of the view on display; empty for the first one. */
export const viewName = () => name;

export const viewTitle = () => (name ? `${find(`nav [href="#${name}"]`).textContent} · Lookbook` : "Lookbook");

/** Show the view that the address names, and tell it the parameters. */
export function showView() {
  const [wanted, query] = location.hash.slice(1).split("?");
  const before = name;
  name = find(`.view[data-view="${CSS.escape(wanted)}"]`) ? wanted : "";
  for (const view of views) view.hidden = view.dataset.view !== name;
  for (const link of links) {
    if (link.hash.slice(1) === name) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  }
  find(".skip").hidden = name !== "";
  document.title = viewTitle();
  emit("view", { name, moved: name !== before, parameters: new URLSearchParams(query) });
}
