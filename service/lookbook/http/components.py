"""The components that the endpoints share. Tests: tests/unit/test_v1.py."""

from dataclasses import dataclass

from flask import Flask, current_app

from lookbook.model.inference import Classifier
from lookbook.pipeline import Pipeline
from lookbook.settings import Settings
from lookbook.store import Store


@dataclass(frozen=True, slots=True)
class Components:
    settings: Settings
    classifier: Classifier
    store: Store
    pipeline: Pipeline


def init_app(app: Flask, components: Components) -> None:
    app.extensions["lookbook"] = components


def components() -> Components:
    """Those of the current application."""
    found: Components = current_app.extensions["lookbook"]
    return found
