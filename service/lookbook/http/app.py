"""The Flask application, made of the components it is given. Tests: tests/unit/test_v1.py."""

from flask import Flask

from lookbook.http import (
    admission,
    authentication,
    comparisons,
    components,
    cross_site,
    drift,
    errors,
    evaluations,
    ground_truths,
    health,
    metrics,
    request_log,
    reviews,
    samples,
    tasks,
    v1,
)
from lookbook.http.components import Components
from lookbook.http.jobs import JobNames
from lookbook.http.openapi import docs
from lookbook.http.page import assets
from lookbook.http.peers import Peers
from lookbook.http.routing import Request
from lookbook.http.v2 import protocol as v2
from lookbook.model.inference import Classifier
from lookbook.pipeline import Pipeline
from lookbook.settings import Settings
from lookbook.store import Store
from lookbook.telemetry.tracing import NoSpans, Spans


def create_app(
    settings: Settings, classifier: Classifier, store: Store, spans: Spans | None = None, peers: Peers | None = None
) -> Flask:
    """Without `spans`, none are recorded. Raises OSError or SettingsError if the tokens file cannot be used."""
    spans = spans or NoSpans()
    app = Flask(__name__, static_folder=None)
    app.request_class = Request
    app.config["MAX_CONTENT_LENGTH"] = settings.max_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    pipeline = Pipeline(settings, classifier, store, spans)
    peers, jobs = peers or Peers(settings), JobNames(store)
    components.init_app(app, Components(settings, classifier, store, pipeline, peers, jobs))
    errors.init_app(app)
    request_log.init_app(app, spans)
    # The order in which a request is checked.
    authentication.init_app(app, settings.tokens_file)
    cross_site.init_app(app)
    admission.init_app(app, settings.max_requests)
    for part in (
        v1,
        ground_truths,
        reviews,
        evaluations,
        samples,
        drift,
        comparisons,
        tasks,
        v2,
        health,
        metrics,
        docs,
        assets,
    ):
        app.register_blueprint(part.blueprint)
    return app
