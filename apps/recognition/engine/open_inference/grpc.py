"""The protocol over gRPC. Tensors travel as raw contents; answers may also carry typed ones."""

from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np

from apps.recognition.engine.errors import EngineError, first_line
from apps.recognition.engine.open_inference.messages import MESSAGES, SERVICE
from apps.recognition.engine.open_inference.shared import (
    CONNECT_TIMEOUT_S,
    DATATYPES,
    DTYPES,
    away,
    checked,
    from_raw,
    late,
    raw,
    seconds_left,
)
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.specs import Manifest

LARGEST_MESSAGE = 2**31 - 1  # protobuf's own bound; gRPC's 4 MiB would not take a batch of pictures
OPTIONS = (
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # Addresses of the operator's own network: no proxy of the environment stands before them.
    ("grpc.enable_http_proxy", 0),
    # A server that is back is found again within about a second; the minimum also bounds a try to connect.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_TIMEOUT_S * 1000)),
    # A machine that vanished without a word is noticed while a request waits; servers allow two such pings.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}  # the typed ones that outputs of networks can have


class GrpcServer:
    """The server at grpc://HOST:PORT or grpcs://HOST:PORT: one connection, which any number of threads share.

    Raises EngineError where it does not answer as the protocol says. It belongs to the process that made it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        address = urlsplit(self.url)
        try:
            is_complete = bool(address.hostname and address.port) and not address.path
        except ValueError:  # what stands for the port is none
            is_complete = False
        if not is_complete:
            raise EngineError(f"LUNA_INFERENCE_URL must be {address.scheme}://HOST:PORT, not {url!r}.")
        if address.scheme == "grpcs":
            self._channel = grpc.secure_channel(address.netloc, grpc.ssl_channel_credentials(), OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address.netloc, OPTIONS)
        self._server_ready = self._method("ServerReady")
        self._model_ready = self._method("ModelReady")
        self._model_infer = self._method("ModelInfer")
        try:
            is_ready = self._server_ready(MESSAGES["ServerReadyRequest"](), timeout=CONNECT_TIMEOUT_S).ready
        except grpc.RpcError as error:
            self.close()
            raise EngineError(f"The inference server {url} does not answer: {_reason(error)}.") from error
        if not is_ready:
            self.close()
            raise EngineError(f"The inference server {url} is not ready.")

    def check_ready(self, network: str) -> None:
        """Raises EngineError where the server has no such model, or it is not ready."""
        message = f"The inference server {self.url} has no model {network} that is ready"
        try:
            answer = self._model_ready(MESSAGES["ModelReadyRequest"](name=network), timeout=CONNECT_TIMEOUT_S)
        except grpc.RpcError as error:
            raise EngineError(f"{message}: {_reason(error)}.") from error
        if not answer.ready:
            raise EngineError(f"{message}.")

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """As InferenceServer.infer."""
        request = MESSAGES["ModelInferRequest"](
            model_name=manifest.name,
            inputs=[
                {"name": manifest.input.name, "datatype": DATATYPES[manifest.input.dtype], "shape": tensor.shape},
            ],
            outputs=[{"name": output.name} for output in manifest.outputs],
            raw_input_contents=[raw(tensor)],
        )
        left_s = seconds_left(deadline)
        try:
            return checked(manifest, len(tensor), _outputs(self._model_infer(request, timeout=left_s)))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise late(left_s) from error
            raise away(_reason(error)) from error
        except (ValueError, KeyError) as error:
            raise away(first_line(error)) from error

    def close(self) -> None:
        """Closes the connection; requests that wait for an answer fail."""
        self._channel.close()

    def _method(self, name: str) -> Any:
        return self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=MESSAGES[f"{name}Request"].SerializeToString,
            response_deserializer=MESSAGES[f"{name}Response"].FromString,
        )


def _outputs(answer: Any) -> dict[str, Tensor]:
    """By name. Raises KeyError or ValueError for what is not of the protocol."""
    contents = answer.raw_output_contents or [None] * len(answer.outputs)
    found: dict[str, Tensor] = {}
    for output, data in zip(answer.outputs, contents, strict=True):
        if data is None:
            values = np.array(getattr(output.contents, CONTENTS[output.datatype]), DTYPES[output.datatype])
        else:
            values = from_raw(data, output.datatype)
        found[output.name] = values.reshape(tuple(output.shape))
    return found


def _reason(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {(error.details() or '').partition(chr(10))[0]}".removesuffix(": ")
