"""BentoML: a service with one API worker."""

from pathlib import Path
from typing import Any

import bentoml

from benchmarks.peers.adapters.classifier import Classifier


@bentoml.service(workers=1)
class Service:
    def __init__(self) -> None:
        self._classifier = Classifier()

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, image: Path) -> dict[str, Any]:
        label, score = self._classifier.classify(image.read_bytes())
        return {"label": label, "score": score}
