"""Where the real parts meet, in a worker and after its fork."""

import gc
import logging
import os
import signal
import threading

from flask import Flask

from lookbook.http.app import create_app
from lookbook.model.bundle import find_bundle, read_bundle
from lookbook.model.inference import Classifier
from lookbook.model.pillow import configure_pillow
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.telemetry import metrics
from lookbook.telemetry.tracing import Spans

_LOG = logging.getLogger(__name__)


def build(settings: Settings) -> Flask:
    """The application; raises BundleError, StoreUnavailable or OSError where it must not serve."""
    threading.excepthook = end_worker
    configure_pillow()
    classifier = Classifier(read_bundle(find_bundle(settings.model)), settings.max_inferences)
    store = _open_store(settings)
    app = create_app(settings, classifier, store, _open_spans(settings))
    bundle = classifier.bundle
    metrics.model_info.labels(bundle.name, bundle.version, bundle.digest).set(1)
    # All of this stays. A collection that looks through it again holds Python's global lock for 20 ms and more.
    gc.collect()
    gc.freeze()
    return app


def _open_spans(settings: Settings) -> Spans | None:
    if not settings.otlp_endpoint:
        return None
    # Imported here, for it costs memory and start-up time.
    from lookbook.telemetry.otlp import OtlpSpans

    return OtlpSpans(settings.otlp_endpoint)


def end_worker(death: threading.ExceptHookArgs) -> None:
    """What a thread did is done no more, such as keeping the store: end politely, gunicorn starts a new worker."""
    if not threading.main_thread().is_alive():
        return  # ending already
    name = death.thread.name if death.thread else "unknown"
    _LOG.critical("thread died: %s", name, exc_info=death.exc_value)
    os.kill(os.getpid(), signal.SIGTERM)


def _open_store(settings: Settings) -> Store:
    # Imported here, so that the other store's driver costs neither memory nor start-up time.
    if settings.store == "cassandra":
        from lookbook.store.cassandra import CassandraStore

        return CassandraStore(settings, metrics.store_up.set)
    from lookbook.store.sqlite import SqliteStore

    return SqliteStore(settings.sqlite_path, metrics.store_up.set, settings.retention)
