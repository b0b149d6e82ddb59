"""Measures drift in the background, for the metrics."""

import logging
import random
import threading
import time

from lookbook.errors import StoreUnavailable
from lookbook.quality import DriftReference, drift_reference, is_closed, measure_drift, today
from lookbook.store import Store
from lookbook.telemetry import metrics

_LOG = logging.getLogger(__name__)

_FIRST_SECONDS = 60
_INTERVAL_SECONDS = 600
_STATUS = {"learning": 0, "stable": 1, "alarm": 2}


class DriftWatch:
    """Measures drift again when a day was closed or a reference was started; checks for that every ten minutes.

    Measuring also reduces the closed days, so that requests need not.
    """

    def __init__(self, store: Store, model: tuple[str, str]) -> None:
        self._store, self._model = store, model
        self._measured: tuple[int, DriftReference | None] | None = None

    def start(self) -> None:
        # 0 until they are measured.
        metrics.drift_status.labels(*self._model)
        metrics.drift_evidence.labels(*self._model)
        threading.Thread(target=self._run, name="drift", daemon=True).start()

    def _run(self) -> None:
        # Not all workers at the same time.
        time.sleep(random.uniform(0, _FIRST_SECONDS))  # noqa: S311
        while True:
            try:
                self.check()
            except Exception:  # noqa: BLE001
                # An uncaught error would end the worker, although it can still classify.
                _LOG.exception("cannot measure drift")
            time.sleep(_INTERVAL_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311

    def check(self) -> None:
        """Measure and set the metrics if there may be something new and the store is available."""
        if not self._store.status().available:
            return
        try:
            reference = drift_reference(self._store, self._model)
            state = today() - (0 if is_closed(today() - 1) else 1), reference
            if state != self._measured:
                self._measure(reference)
                self._measured = state
        except StoreUnavailable as error:
            _LOG.info("cannot measure drift; will try again: %s", error)

    def _measure(self, reference: DriftReference | None) -> None:
        drift = measure_drift(self._store, self._model, reference)
        metrics.drift_status.labels(*self._model).set(_STATUS[drift.status])
        if drift.steps:
            newest = drift.steps[-1]
            metrics.drift_evidence.labels(*self._model).set(newest.evidence)
            metrics.estimated_accuracy.labels(*self._model).set(newest.accuracy)
