"""Client of inference servers (Triton, KServe, MLServer) by the Open Inference Protocol v2 over HTTP or gRPC.

Requests are sent without batching, which the server does. While it does not respond, requests fail with status 503.
"""

from typing import Protocol

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.open_inference.http import HttpServer
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.specs import Manifest


class InferenceServer(Protocol):
    """Connected inference server, thread-safe."""

    def check_ready(self, network: str) -> None:
        """Check that the server has the model. Raises EngineError if it is absent or not ready."""

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """Return the outputs of one batch, in the manifest's order and shapes. `deadline`: value of time.monotonic().

        Raises LunaError with status 503: PROCESSING_TIMEOUT if the deadline passes, BATCHING_ERROR if the server does
        not respond or rejects the request.
        """

    def close(self) -> None:
        """Close the connections."""


def connect(url: str, *, connections: int) -> InferenceServer:
    """Connect to the server at `url`: http:// or https://, grpc:// or (with TLS) grpcs:// and a port.

    `connections`: maximum number of HTTP connections; gRPC needs one. Raises EngineError for an invalid address, and if
    the server does not follow the protocol.
    """
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        return HttpServer(url, connections=connections)
    if scheme in ("grpc", "grpcs"):
        from apps.recognition.engine.open_inference.grpc import GrpcServer  # imported on demand: 25 MB of memory

        return GrpcServer(url)
    raise EngineError(f"LUNA_INFERENCE_URL must begin with http://, https://, grpc:// or grpcs://, got {url!r}.")
