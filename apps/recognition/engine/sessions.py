"""ONNX Runtime sessions on the device that was asked for, or a sentence that says why not."""

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from apps.recognition.engine.errors import EngineError

Tensor = NDArray[Any]

ERRORS_ONLY, FATAL_ONLY = 3, 4  # ONNX Runtime's severities

_DEVICE = re.compile(r"cpu|cuda(?::(\d{1,2}))?")


class Device:
    """CPU or one CUDA device. Raises EngineError for a name that is neither and for CUDA that is not there."""

    def __init__(self, name: str) -> None:
        match = _DEVICE.fullmatch(name)
        if match is None:
            raise EngineError(f"LUNA_DEVICE must be cpu, cuda or cuda:N, not {name!r}.")
        self.name = name
        self.is_cuda = name != "cpu"
        self.index = int(match.group(1) or 0)
        if self.is_cuda and "CUDAExecutionProvider" not in ort.get_available_providers():
            raise EngineError(f"LUNA_DEVICE={name}, but this onnxruntime has no CUDA: install requirements-gpu.txt.")
        if self.is_cuda:
            _load_cuda_libraries()

    def providers(self) -> list[Any]:
        """ONNX Runtime's provider list."""
        if not self.is_cuda:
            return ["CPUExecutionProvider"]
        options = {"device_id": self.index, "arena_extend_strategy": "kSameAsRequested"}
        return [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def _load_cuda_libraries() -> None:
    """Finds the libraries of requirements-gpu.txt.

    What is missing would be told here, and again over many lines when a session falls back to the CPU; Session says it
    in one sentence.
    """
    ort.set_default_logger_severity(FATAL_ONLY)
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls(directory="")


def default_threads(device: Device) -> int:
    """Networks that run at the same time: one a core that this process may use; on CUDA two, so that one batch is
    copied while another is computed.
    """
    return (
        2
        if device.is_cuda
        else len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


class Session:
    """One network in memory. `run` is thread-safe."""

    def __init__(self, path: Path, device: Device) -> None:
        options = ort.SessionOptions()
        # Whole runs are spread over the cores (batching.py), which beats splitting one run over them.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = ort.InferenceSession(str(path), options, providers=device.providers())
        except Exception as error:  # onnxruntime raises classes of its C++ side without a common base
            raise EngineError(f"Network file {path} cannot be loaded on {device.name}: {_first_line(error)}") from error
        if device.is_cuda and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise EngineError(
                f"LUNA_DEVICE={device.name}, but CUDA does not start here (no GPU, driver or CUDA libraries): "
                "use LUNA_DEVICE=cpu or install requirements-gpu.txt."
            )
        self._input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def run(self, tensor: Tensor) -> list[Tensor]:
        """The outputs for one batch, in the order of `outputs`."""
        return [np.asarray(output) for output in self._session.run(None, {self._input: tensor})]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
