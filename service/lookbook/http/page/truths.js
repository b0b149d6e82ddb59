// Ground truths: what people say an image shows.

import { askForName, rememberedName } from "./annotator.js";
import { call, callJson } from "./api.js";

const path = (id) => `v1/predictions/${id}/ground-truths`;

/** All judgments of a prediction, and the ground truth that follows from them. */
export const readTruths = (id) => callJson(path(id));

/** Store that the prediction's image shows `label`, or is unclear without one; `named` is what `identify` resolved to. */
export function judge(id, label, named) {
  return callJson(path(id), "POST", { ...(label === undefined ? { verdict: "unclear" } : { label }), ...named });
}

export const withdraw = (id, judgment) => call(`${path(id)}/${judgment}`, "DELETE");

/** The part of a judgment that names its annotator, given the name of the token; null if the person cancels. */
export async function identify(tokenName) {
  if (tokenName) return {};
  const name = rememberedName() ?? (await askForName());
  return name === null ? null : { annotator: name };
}

/** The ground truth of a prediction with this label, in a few words. */
export function describe(truth, label) {
  if (!truth) return "";
  if (truth.verdict) return "? Unclear";
  return truth.label === label ? "✓ Right" : `✗ ${truth.label}`;
}
