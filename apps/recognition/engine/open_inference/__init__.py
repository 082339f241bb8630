"""Networks on another machine, by the Open Inference Protocol v2 over HTTP or gRPC (Triton, KServe, MLServer).

Requests go out as they come: joining them into batches is left to that server. When it is away, requests are answered
with 503 until it is back.
"""

from typing import Protocol

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.open_inference.http import HttpServer
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.specs import Manifest


class InferenceServer(Protocol):
    """A server that answers, whatever it is spoken to by. Any number of threads may use it."""

    def check_ready(self, network: str) -> None:
        """Raises EngineError where the server has no such model, or it is not ready."""

    def infer(self, manifest: Manifest, tensor: Tensor, deadline: float) -> list[Tensor]:
        """The outputs for one batch, in the manifest's order and with its shapes. `deadline`: a time.monotonic().

        Raises LunaError with status 503: PROCESSING_TIMEOUT where the deadline passes, BATCHING_ERROR where the
        server is away or refuses.
        """

    def close(self) -> None:
        """Closes the connections."""


def connect(url: str, *, connections: int) -> InferenceServer:
    """The server at `url`: http:// or https://, grpc:// or (with TLS) grpcs:// and a port.

    `connections`: the most that HTTP opens; gRPC needs one. Raises EngineError where it is no such address, or the
    server does not answer as the protocol says.
    """
    scheme = url.partition("://")[0]
    if scheme in ("http", "https"):
        return HttpServer(url, connections=connections)
    if scheme in ("grpc", "grpcs"):
        from apps.recognition.engine.open_inference.grpc import GrpcServer  # 25 MB that only its users pay for

        return GrpcServer(url)
    raise EngineError(f"LUNA_INFERENCE_URL must begin with http://, https://, grpc:// or grpcs://, not {url!r}.")
