"""KServe: a custom predictor of the V1 protocol, with the image in base64 as in its guide."""

import base64
from typing import Any

from kserve import Model, ModelServer

from benchmarks.peers.adapters.classifier import Classifier


class Predictor(Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("model")
        self._classifier = Classifier()
        self.ready = True

    async def predict(self, payload: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        images = (base64.b64decode(instance["image"]["b64"]) for instance in payload["instances"])
        return {"predictions": [self._classifier.classify(image) for image in images]}


if __name__ == "__main__":
    ModelServer().start([Predictor()])
