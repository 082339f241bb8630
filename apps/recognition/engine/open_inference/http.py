"""Open Inference Protocol over HTTP. Tensors are binary if the server supports it, else JSON."""

from typing import Any

import httpx
import numpy as np
import orjson

from apps.recognition.engine.errors import EngineError, first_line
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

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_EXTENSION = "binary_tensor_data"
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError)  # errors of reading a malformed response


class HttpServer:
    """Server at an HTTP address. Raises EngineError if it does not follow the protocol."""

    def __init__(self, url: str, *, connections: int) -> None:
        self.url = url.rstrip("/")
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        # The server is in the operator's own network, so proxies of the environment do not apply.
        self._client = httpx.Client(base_url=self.url, limits=limits, timeout=CONNECT_TIMEOUT_S, trust_env=False)
        try:
            answer = self._client.get("/v2")
            self.binary = BINARY_EXTENSION in answer.raise_for_status().json().get("extensions", [])
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise EngineError(f"The inference server {url} does not respond: {_reason(error)}.") from error

    def check_ready(self, network: str) -> None:
        """Check that the server has the model. Raises EngineError if it is absent or not ready."""
        try:
            self._client.get(f"/v2/models/{network}/ready").raise_for_status()
        except httpx.HTTPError as error:
            message = f"The inference server {self.url} has no ready model {network}: {_reason(error)}."
            raise EngineError(message) from error

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """Run one batch as `InferenceServer.infer`."""
        left_s = seconds_left(deadline)
        body, headers = self._request(manifest, tensor)
        timeout = httpx.Timeout(left_s, connect=min(left_s, CONNECT_TIMEOUT_S))
        path = f"/v2/models/{manifest.name}/infer"
        try:
            answer = self._client.post(path, content=body, headers=headers, timeout=timeout).raise_for_status()
            return checked(manifest, len(tensor), _outputs(answer))
        except httpx.ReadTimeout as error:
            raise late(left_s) from error
        except (httpx.HTTPError, *MALFORMED) as error:
            raise away(_reason(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _request(self, manifest: Manifest, tensor: Tensor) -> tuple[bytes, dict[str, str]]:
        entry: dict[str, Any] = {
            "name": manifest.input.name,
            "shape": list(tensor.shape),
            "datatype": DATATYPES[manifest.input.dtype],
        }
        outputs: list[dict[str, Any]] = [{"name": output.name} for output in manifest.outputs]
        if not self.binary:
            body = {"inputs": [entry | {"data": np.ascontiguousarray(tensor).reshape(-1)}], "outputs": outputs}
            return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), {"Content-Type": "application/json"}
        entry["parameters"] = {"binary_data_size": tensor.nbytes}
        for output in outputs:
            output["parameters"] = {"binary_data": True}
        head = orjson.dumps({"inputs": [entry], "outputs": outputs})
        headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
        return head + raw(tensor), headers


def _outputs(answer: httpx.Response) -> dict[str, Tensor]:
    """Return the outputs by name. Raises one of MALFORMED for a response that violates the protocol."""
    length = int(answer.headers.get(HEADER_LENGTH, 0)) or len(answer.content)
    head, tail = orjson.loads(answer.content[:length]), memoryview(answer.content)[length:]
    found: dict[str, Tensor] = {}
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = np.array(output["data"], DTYPES[output["datatype"]])
        else:
            values, tail = from_raw(tail[:size], output["datatype"]), tail[size:]
        found[output["name"]] = values.reshape(output["shape"])
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return first_line(error)
