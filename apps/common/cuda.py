"""CUDA devices of ONNX Runtime: names, provider options, libraries."""

import contextlib
import io
import re
from typing import Any

import onnxruntime as ort

ERRORS_ONLY, FATAL_ONLY = 3, 4  # ONNX Runtime's severities

_DEVICE = re.compile(r"cpu|cuda(?::(\d{1,2}))?")


def device_index(name: str) -> int | None:
    """Return the number of a CUDA device (`cuda`, `cuda:N`), None for `cpu`. Raises ValueError for other names."""
    match = _DEVICE.fullmatch(name)
    if match is None:
        raise ValueError(f"must be cpu, cuda or cuda:N, got {name!r}")
    return None if name == "cpu" else int(match.group(1) or 0)


def cuda_is_built_in() -> bool:
    """Return whether this onnxruntime has CUDA; a driver and a device may still be absent."""
    return "CUDAExecutionProvider" in ort.get_available_providers()


def providers(index: int | None, memory_limit_bytes: int = 0) -> list[Any]:
    """Return the provider list for ONNX Runtime. `index`: as `device_index`.

    `memory_limit_bytes`: limit of the CUDA memory arena of the session; 0: no limit. TF32 is off, so that results of
    both devices agree. Heuristics select the convolutions, because a search for every shape would delay first runs.
    """
    if index is None:
        return ["CPUExecutionProvider"]
    options: dict[str, str | int] = {
        "device_id": index,
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": 0,
    }
    if memory_limit_bytes:
        options["gpu_mem_limit"] = memory_limit_bytes
    return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def load_cuda_libraries() -> None:
    """Load the libraries of requirements-gpu.txt.

    Messages about missing libraries are suppressed here and at the session's fallback to the CPU; the caller raises
    one sentence instead.
    """
    ort.set_default_logger_severity(FATAL_ONLY)
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls(directory="")
