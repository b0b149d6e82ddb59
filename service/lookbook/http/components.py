"""The components that the endpoints share. Tests: tests/unit/test_v1.py."""

from dataclasses import dataclass, field

from flask import Flask, current_app

from lookbook.http.jobs import JobNames
from lookbook.http.peers import Peers
from lookbook.http.turns import Turns
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
    peers: Peers
    jobs: JobNames
    turns: Turns = field(default_factory=Turns)

    @property
    def ready(self) -> bool:
        """Whether requests should come here; it is known without a call to the store or to a peer.

        No longer if only a peer can reach the store. If none can, a 503 that says why is better than a refused
        connection.
        """
        status = self.store.status()
        return status.reached and (status.available or not self.peers.available)


def init_app(app: Flask, components: Components) -> None:
    app.extensions["lookbook"] = components


def components() -> Components:
    """The components of the current application."""
    found: Components = current_app.extensions["lookbook"]
    return found
