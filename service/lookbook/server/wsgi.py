"""Builds the application of a worker, after its fork, from the real model and store."""

import gc
import logging
import os
import signal
import threading

from flask import Flask

from lookbook.http.app import create_app
from lookbook.http.peers import Peers
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.server.drift_watch import DriftWatch
from lookbook.settings import Settings
from lookbook.store.opening import open_store
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import Spans

_LOG = logging.getLogger(__name__)


def build(settings: Settings) -> Flask:
    """The application of one worker. Raises LookbookError or OSError if the worker must not serve."""
    threading.excepthook = end_worker
    configure_pillow()
    classifier = Classifier(read_bundle(find_bundle(settings.model)), settings.max_inferences)
    peers = Peers(settings)

    def report(available: float) -> None:
        metrics.store_up.set(available)
        peers.store_changed(available)

    store = open_store(settings, report)
    app = create_app(settings, classifier, store, _open_spans(settings), peers)
    bundle = classifier.bundle
    metrics.model_info.labels(bundle.name, bundle.version, bundle.digest).set(1)
    DriftWatch(store, (bundle.name, bundle.version)).start()
    # All of this is permanent. Without a freeze, each full garbage collection would scan it and hold Python's global
    # lock for 20 ms or more.
    gc.collect()
    gc.freeze()
    return app


def _open_spans(settings: Settings) -> Spans | None:
    if not settings.otlp_endpoint:
        return None
    # Imported here: it costs memory and startup time.
    from lookbook.telemetry.otlp import OtlpSpans

    return OtlpSpans(settings.otlp_endpoint)


def end_worker(death: threading.ExceptHookArgs) -> None:
    """Shut this worker down when a thread dies, since its work, such as watching the store, is no longer done.

    gunicorn starts a new worker.
    """
    if not threading.main_thread().is_alive():
        return  # already shutting down
    name = death.thread.name if death.thread else "unknown"
    _LOG.critical("a thread ended unexpectedly, restarting this worker: %s", name, exc_info=death.exc_value)
    os.kill(os.getpid(), signal.SIGTERM)
