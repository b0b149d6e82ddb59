"""LitServe: one worker process for the model, and one for HTTP, as by default."""

import os
from typing import Any

import litserve
from starlette.requests import Request

from benchmarks.peers.adapters.classifier import Classifier


class Api(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, _: str) -> None:
        self._classifier = Classifier()

    def decode_request(self, request: Request) -> bytes:
        data: bytes = request["image"].file.read()
        return data

    def predict(self, data: bytes) -> tuple[str, float]:
        return self._classifier.classify(data)

    def encode_response(self, found: tuple[str, float]) -> dict[str, Any]:
        return {"label": found[0], "score": found[1]}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")
