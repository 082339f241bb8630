"""A small gRPC server of the Open Inference Protocol v2: `python -m …grpc_server PORT DIRECTORY`.

Every ONNX file of the directory is a model. It is no more than the client's tests need; MLServer's own messages are
met in tests/system/test_mlserver.py.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime as ort

from apps.recognition.engine.open_inference.messages import MESSAGES, SERVICE

DTYPES = {"FP32": np.float32, "UINT8": np.uint8}
ANY_LENGTH = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Models:
    """Answers as the protocol says."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sessions: dict[str, ort.InferenceSession] = {}

    def ServerReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=True)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        return MESSAGES["ModelReadyResponse"](ready=(self.directory / f"{request.name}.onnx").exists())

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        name, (entry,), (data,) = request.model_name, request.inputs, request.raw_input_contents
        if name not in self.sessions:
            self.sessions[name] = ort.InferenceSession(self.directory / f"{name}.onnx")
        names = [output.name for output in request.outputs]
        pixels = np.frombuffer(data, DTYPES[entry.datatype]).reshape(tuple(entry.shape))
        found = self.sessions[name].run(names, {entry.name: pixels})
        return MESSAGES["ModelInferResponse"](
            outputs=[
                {"name": name, "datatype": "FP32", "shape": array.shape}
                for name, array in zip(names, found, strict=True)
            ],
            raw_output_contents=[array.tobytes() for array in found],
        )


def started(
    methods: object, address: str, credentials: grpc.ServerCredentials | None = None
) -> tuple[grpc.Server, int]:
    """A server that answers with the methods of an object, and its port."""
    server = grpc.server(ThreadPoolExecutor(4), options=[*ANY_LENGTH, ("grpc.so_reuseport", 0)])
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            getattr(methods, name),
            request_deserializer=MESSAGES[f"{name}Request"].FromString,
            response_serializer=MESSAGES[f"{name}Response"].SerializeToString,
        )
        for name in ("ServerReady", "ModelReady", "ModelInfer")
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return server, port


if __name__ == "__main__":
    started(Models(Path(sys.argv[2])), f"127.0.0.1:{sys.argv[1]}")[0].wait_for_termination()
