"""Ray Serve: one replica behind its proxy."""

import os
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peers.adapters.classifier import Classifier


@serve.deployment(num_replicas=1, max_ongoing_requests=100)
class Deployment:
    def __init__(self) -> None:
        self._classifier = Classifier()

    async def __call__(self, request: Request) -> dict[str, Any]:
        label, score = self._classifier.classify(await request.body())
        return {"label": label, "score": score}


if __name__ == "__main__":
    ray.init(include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Deployment.bind(), blocking=True)  # type: ignore[attr-defined]
