// The model that is served.

import { callJson } from "./api.js";
import { find } from "./view.js";

let known = null;

/** The model's description; asked for until it succeeds once. */
export function model() {
  known ??= load().catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

async function load() {
  const description = await callJson("v1/model");
  const { name, version, labels } = description;
  find("#model").textContent = `${name} ${version}`;
  find("#known-labels").replaceChildren(...labels.map((label) => new Option(label)));
  return description;
}
