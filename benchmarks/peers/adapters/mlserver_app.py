"""MLServer: a custom runtime of the V2 protocol, with the image in base64."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.adapters.classifier import Classifier


class Runtime(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self._classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        labels, scores = zip(*map(self._classifier.classify, Base64Codec.decode_input(payload.inputs[0])), strict=True)
        outputs = [StringCodec.encode_output("label", labels), NumpyCodec.encode_output("score", np.array(scores))]
        return InferenceResponse(model_name=self.name, outputs=outputs)
