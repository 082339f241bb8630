"""Configuration of the engine; the facade fills it from the settings."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Configuration of an engine.

    `device`: cpu, cuda or cuda:N. `threads`: number of concurrent networks; 0: the processors divided by
    `processes`, the number of engines that share them (CPU), or two (CUDA).
    `run_threads`: threads of one run of a network on a CPU; at most the usable processors.
    `niceness`: that of the engine's threads; 0: unchanged.
    `gpu_memory_bytes`: limit of the CUDA memory arena of each network; 0: no limit. `inference_url`: Open Inference
    Protocol server that runs the networks instead of this process.

    `queue_rows`: maximum number of queued inputs of all requests; the largest input has 4.9 MB. `deadline_s`: maximum
    time from the start of a request to the start of its last network. `auto_rotation`: whether pictures are rotated by
    multiples of 90° until their faces are upright. `face_score`, `body_score`: minimum scores of detections, None for
    the detector's own. `min_face_px`: minimum shorter side of a face. `face_tiles`: maximum number of tiles of the
    second detection in large pictures; 0: none. `off`: names that are switched off, see `switches`.
    """

    networks_dir: Path
    device: str = "cpu"
    niceness: int = 0
    gpu_memory_bytes: int = 0
    inference_url: str = ""
    threads: int = 0
    run_threads: int = 2
    processes: int = 1
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
