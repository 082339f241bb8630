"""What the engine must be told; the facade fills it from the settings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`device`: cpu, cuda or cuda:N. `threads`: networks that run at the same time; 0: one a core (CPU), two (CUDA).

    `gpu_memory_bytes` bounds the CUDA memory arena of each network, 0: no bound. `inference_url`: an Open Inference
    Protocol server that runs the networks instead of this process.

    `queue_rows` bounds the inputs that wait for a network, over all requests; the largest is 4.9 MB. `deadline_s`
    bounds the time from a request's start to the start of its last network. `auto_rotation`: are pictures turned by
    quarters until their faces stand upright? `face_score` and `body_score`: detections from this score on, None: from
    the detector's own. `min_face_px`: shorter side of the smallest face. `face_tiles` bounds the second look at large
    pictures, 0: none. `off`: what is switched off, by the names of `switches`.
    """

    networks_dir: Path
    device: str = "cpu"
    gpu_memory_bytes: int = 0
    inference_url: str = ""
    threads: int = 0
    queue_rows: int = 512
    deadline_s: float = 30.0
    max_image_bytes: int = 15 * 1024**2
    max_image_pixels: int = 50_000_000
    auto_rotation: bool = True
    face_score: float | None = None
    body_score: float | None = None
    min_face_px: int = 20
    face_tiles: int = 24
    off: frozenset[str] = frozenset()
