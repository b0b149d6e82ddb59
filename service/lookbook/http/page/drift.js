// Whether predictions changed since the model version was new, and what to do about it.

import { call, callJson } from "./api.js";
import { day, make, share } from "./view.js";

/** A panel's content for the version; throws ApiError. `reload` is called after a new reference was started. */
export async function driftPanel(version, reload) {
  const query = new URLSearchParams(version && { model_version: version });
  const drift = await callJson(`v1/drift?${query}`);
  return [...STATUS[drift.status](drift), ...figures(drift), ...(drift.status === "alarm" ? [acknowledgment(drift.model, reload)] : [])];
}

const STATUS = {
  learning: ({ reference: { chunks, chunks_needed: needed } }) => [
    make("p", { className: "big" }, "Learning"),
    make("p", {}, `Lookbook is still learning what is usual: ${chunks} of ${needed} chunks are complete. A chunk is one or more whole days with at least 100 sampled predictions. There is nothing to do.`),
  ],
  stable: ({ reference: { since, until } }) => [
    make("p", { className: "big" }, "Stable"),
    make("p", {}, `Predictions look like those from ${day(since)} to ${day(until)}, the reference. There is nothing to do.`),
  ],
  alarm: ({ alarm_since: since, reference }) => [
    make("p", { className: "big danger" }, `Changed since ${day(since)}`),
    make("p", {}, `Predictions differ from the reference (${day(reference.since)} to ${day(reference.until)}) by more than chance can explain.`),
    make("p", {}, "What to do: look at recent images in the history, and ", make("a", { href: "#review" }, "review"), " some. Accuracy then shows whether the model got worse."),
  ],
};

function figures({ p_values, total_variation, estimated_accuracy, change, reference }) {
  if (!p_values) return [];
  const rows = {
    "Change in labels": share(total_variation),
    "Mean score of the newest chunk": share(estimated_accuracy),
    "Mean score of the reference": share(reference.estimated_accuracy),
    "Change in mean score": `${change < 0 ? "−" : "+"}${share(Math.abs(change))}`,
  };
  return [
    make("dl", {}, ...Object.entries(rows).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)])),
    make("p", { className: "small" }, "Scores are a signal: errors that leave them unchanged show only in judgments."),
  ];
}

function acknowledgment({ name, version }, reload) {
  const button = make("button", { type: "button" }, "Start a new reference");
  const status = make("p", { role: "status", className: "small" });
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await call("v1/drift/reference", "POST", { model_version: `${name}/${version}` });
      reload();
    } catch (error) {
      status.textContent = error.message;
      button.disabled = false;
    }
  });
  const explanation = make("p", {}, "Predictions from today on become the new reference. Until there are enough of them, no change is reported.");
  return make("details", {}, make("summary", {}, "The change is expected: acknowledge it"), explanation, button, status);
}
