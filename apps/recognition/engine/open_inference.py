"""Networks on another machine, by the Open Inference Protocol v2 over HTTP (Triton, KServe, MLServer).

Requests go out as they come: joining them into batches is left to that server. Tensors travel in the protocol's binary
form where the server has it, else as JSON. When the server is away, requests are answered with 503 until it is back.
"""

import time
from typing import Any

import httpx
import numpy as np
import orjson

from apps.common.errors import LunaError
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.specs import Manifest

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_EXTENSION = "binary_tensor_data"
DATATYPES = {"float32": "FP32", "uint8": "UINT8"}
DTYPES = {name: np.dtype(dtype) for dtype, name in DATATYPES.items()} | {"FP64": np.dtype("f8"), "FP16": np.dtype("f2")}
CONNECT_TIMEOUT_S = 3.0


class InferenceServer:
    """The server at an address. Raises EngineError where it does not answer as the protocol says."""

    def __init__(self, url: str, *, connections: int) -> None:
        self.url = url.rstrip("/")
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        # Addresses of the operator's own network: no proxy of the environment stands before them.
        self._client = httpx.Client(base_url=self.url, limits=limits, timeout=CONNECT_TIMEOUT_S, trust_env=False)
        try:
            answer = self._client.get("/v2")
            self.binary = BINARY_EXTENSION in answer.raise_for_status().json().get("extensions", [])
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise EngineError(f"The inference server {url} does not answer: {_reason(error)}.") from error

    def check_ready(self, network: str) -> None:
        """Raises EngineError where the server has no such model, or it is not ready."""
        try:
            self._client.get(f"/v2/models/{network}/ready").raise_for_status()
        except httpx.HTTPError as error:
            message = f"The inference server {self.url} has no model {network} that is ready: {_reason(error)}."
            raise EngineError(message) from error

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """The outputs in the manifest's order. `deadline`: a time.monotonic().

        Raises LunaError with status 503: 37001 where the deadline passes, 100035 where the server is away or refuses.
        """
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise LunaError(37001, 0, status=503, headers={"Retry-After": "1"})
        body, headers = self._request(manifest, tensor)
        timeout = httpx.Timeout(left_s, connect=min(left_s, CONNECT_TIMEOUT_S))
        path = f"/v2/models/{manifest.name}/infer"
        try:
            answer = self._client.post(path, content=body, headers=headers, timeout=timeout).raise_for_status()
            found = _answer(answer)
            return [found[output.name] for output in manifest.outputs]
        except httpx.ReadTimeout as error:
            raise LunaError(37001, round(left_s, 1), status=503, headers={"Retry-After": "1"}) from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            message = f"inference server: {_reason(error)}"
            raise LunaError(100035, message, status=503, headers={"Retry-After": "1"}) from error

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _request(self, manifest: Manifest, tensor: Tensor) -> tuple[bytes, dict[str, str]]:
        entry: dict[str, Any] = {
            "name": manifest.input.name,
            "shape": list(tensor.shape),
            "datatype": DATATYPES[manifest.input.dtype],
        }
        outputs: list[dict[str, Any]] = [{"name": output.name} for output in manifest.outputs]
        flat = np.ascontiguousarray(tensor).reshape(-1)
        if not self.binary:
            body = {"inputs": [entry | {"data": flat}], "outputs": outputs}
            return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), {"Content-Type": "application/json"}
        entry["parameters"] = {"binary_data_size": flat.nbytes}
        for output in outputs:
            output["parameters"] = {"binary_data": True}
        head = orjson.dumps({"inputs": [entry], "outputs": outputs})
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return head + flat.astype(flat.dtype.newbyteorder("<")).tobytes(), headers


class RemoteSession:
    """A network of the server; one batch of any size at a time."""

    def __init__(self, server: InferenceServer, manifest: Manifest) -> None:
        server.check_ready(manifest.name)
        self._server = server
        self._manifest = manifest
        self.outputs = tuple(output.name for output in manifest.outputs)

    def run(self, tensor: Tensor, deadline: float) -> list[Tensor]:
        """The outputs for `tensor`, in as few calls as the manifest's largest batch allows."""
        largest = self._manifest.batch_sizes[-1]
        parts = [
            self._server.infer(self._manifest, tensor[start : start + largest], deadline)
            for start in range(0, len(tensor), largest)
        ]
        return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _answer(answer: httpx.Response) -> dict[str, Tensor]:
    """Outputs by name. Raises ValueError, KeyError or TypeError for what is not of the protocol."""
    length = int(answer.headers.get(HEADER_LENGTH, 0)) or len(answer.content)
    head, tail = orjson.loads(answer.content[:length]), memoryview(answer.content)[length:]
    found: dict[str, Tensor] = {}
    for output in head["outputs"]:
        dtype = DTYPES[output["datatype"]]
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = np.array(output["data"], dtype)
        else:
            values, tail = np.frombuffer(tail[:size], dtype.newbyteorder("<")), tail[size:]
        found[output["name"]] = values.reshape(output["shape"]).astype(np.float32)
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
