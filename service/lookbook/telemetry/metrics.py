"""Counters, gauges, and histograms of one worker. `serve` sets PROMETHEUS_MULTIPROC_DIR before this is imported."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

requests = Counter("lookbook_requests", "Requests that got a response", ["route", "code"])
refused = Counter("lookbook_refused", "Requests refused because the worker had too many")
predictions = Counter("lookbook_predictions", "Predictions stored", ["label"])
decode_seconds = Histogram("lookbook_decode_seconds", "Seconds to decode an image", buckets=_SECONDS)
inference_seconds = Histogram("lookbook_inference_seconds", "Seconds to classify an image", buckets=_SECONDS)
store_seconds = Histogram("lookbook_store_seconds", "Seconds to store the predictions of a request", buckets=_SECONDS)
in_flight = Gauge("lookbook_in_flight", "Requests in progress", multiprocess_mode="livesum")
receiving = Gauge(
    "lookbook_receiving", "Requests in progress whose bodies are still arriving", multiprocess_mode="livesum"
)
queued = Gauge("lookbook_queued", "Requests that wait for an inference slot", multiprocess_mode="livesum")
store_up = Gauge(
    "lookbook_store_up", "1 if the store is available to every worker, else 0", multiprocess_mode="livemin"
)
model_info = Gauge(
    "lookbook_model_info",
    "Always 1; the labels name the model that is served",
    ["name", "version", "digest"],
    multiprocess_mode="livemax",
)
# All workers measure the same, within some minutes of each other.
drift_status = Gauge(
    "lookbook_drift_status",
    "0 while the reference is being gathered, 1 if the predictions are as usual, 2 if they have drifted",
    ["name", "version"],
    multiprocess_mode="livemax",
)
drift_evidence = Gauge(
    "lookbook_drift_evidence",
    "Evidence of drift up to the newest complete chunk of days; "
    "drift is reported at 2,000 if the change is large enough",
    ["name", "version"],
    multiprocess_mode="livemax",
)
estimated_accuracy = Gauge(
    "lookbook_estimated_accuracy",
    "Mean score of the newest complete chunk of days, without support from judgments",
    ["name", "version"],
    multiprocess_mode="livemax",
)
