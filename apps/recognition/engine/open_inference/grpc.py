"""Open Inference Protocol over gRPC. Requests use raw contents; responses can also use typed contents."""

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

LARGEST_MESSAGE = 2**31 - 1  # protobuf's limit; gRPC's default of 4 MiB is too small for a batch of pictures
OPTIONS = (
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # The server is in the operator's own network, so proxies of the environment do not apply.
    ("grpc.enable_http_proxy", 0),
    # Reconnects to a restarted server within about a second; the minimum also limits an attempt to connect.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", int(CONNECT_TIMEOUT_S * 1000)),
    # Detects a lost machine while a request waits; servers allow two such pings.
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)
CONTENTS = {"FP32": "fp32_contents", "FP64": "fp64_contents"}  # typed contents that outputs of networks can have


class GrpcServer:
    """Server at grpc://HOST:PORT or grpcs://HOST:PORT with one connection for all threads.

    Raises EngineError if it does not follow the protocol. The object belongs to the process that created it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        address = urlsplit(self.url)
        try:
            is_complete = bool(address.hostname and address.port) and not address.path
        except ValueError:  # the port is not a number
            is_complete = False
        if not is_complete:
            raise EngineError(f"LUNA_INFERENCE_URL must be {address.scheme}://HOST:PORT, got {url!r}.")
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
            raise EngineError(f"The inference server {url} does not respond: {_reason(error)}.") from error
        if not is_ready:
            self.close()
            raise EngineError(f"The inference server {url} is not ready.")

    def check_ready(self, network: str) -> None:
        """Check that the server has the model. Raises EngineError if it is absent or not ready."""
        message = f"The inference server {self.url} has no ready model {network}"
        try:
            answer = self._model_ready(MESSAGES["ModelReadyRequest"](name=network), timeout=CONNECT_TIMEOUT_S)
        except grpc.RpcError as error:
            raise EngineError(f"{message}: {_reason(error)}.") from error
        if not answer.ready:
            raise EngineError(f"{message}.")

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """Run one batch as `InferenceServer.infer`."""
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
        """Close the connection; pending requests fail."""
        self._channel.close()

    def _method(self, name: str) -> Any:
        return self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=MESSAGES[f"{name}Request"].SerializeToString,
            response_deserializer=MESSAGES[f"{name}Response"].FromString,
        )


def _outputs(answer: Any) -> dict[str, Tensor]:
    """Return the outputs by name. Raises KeyError or ValueError for a response that violates the protocol."""
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
