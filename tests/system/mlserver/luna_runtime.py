"""What MLServer runs: one ONNX file a model. It is imported by MLServer's own Python, not by the tests'."""

import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (entry,) = payload.inputs
        names = [output.name for output in payload.outputs]
        found = self.session.run(names, {entry.name: NumpyCodec.decode_input(entry)})
        outputs = [NumpyCodec.encode_output(name, array) for name, array in zip(names, found, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
