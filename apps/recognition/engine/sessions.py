"""ONNX Runtime sessions on the configured device; a device that does not work is an error, never a fallback."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from apps.common.cuda import ERRORS_ONLY, cuda_is_built_in, device_index, load_cuda_libraries, providers
from apps.common.processors import usable_processors
from apps.recognition.engine.errors import EngineError, first_line

Tensor = NDArray[Any]

# ONNX Runtime computes shapes on the CPU by design, because copies of a few numbers to the device would cost more.
SHAPE_KINDS = frozenset(
    {
        "Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Add", "Sub", "Mul", "Div", "Floor",
        "ConstantOfShape", "Range", "Reshape", "Equal", "Where", "Expand",
    }
)  # fmt: skip


class Device:
    """CPU or one CUDA device. Raises EngineError for an invalid name, and if CUDA is not available.

    `memory_limit_bytes`: limit of the CUDA memory arena of each network; 0: no limit.
    """

    def __init__(self, name: str, memory_limit_bytes: int = 0) -> None:
        try:
            index = device_index(name)
        except ValueError as error:
            raise EngineError(f"LUNA_DEVICE {error}.") from None
        self.name = name
        self.is_cuda = index is not None
        self.index = index or 0
        self.memory_limit_bytes = memory_limit_bytes
        if self.is_cuda and not cuda_is_built_in():
            raise EngineError(f"LUNA_DEVICE={name}, but this onnxruntime has no CUDA: install requirements-gpu.txt.")
        if self.is_cuda:
            load_cuda_libraries()

    def providers(self) -> list[Any]:
        """Return the provider list for ONNX Runtime."""
        return providers(self.index if self.is_cuda else None, self.memory_limit_bytes)


def default_threads(device: Device, processes: int) -> int:
    """Return the default number of concurrent networks: this process's share of the processors, or two on CUDA.

    `processes` engines share the processors. With two threads on CUDA, one batch is copied while another is computed.
    """
    return 2 if device.is_cuda else max(1, usable_processors() // processes)


class OnnxSession:
    """Network in the memory of this process. On CUDA its outputs are bound to the device and copied back together.

    `threads`: number of threads of one run on a CPU.
    """

    def __init__(self, path: Path, device: Device, threads: int = 1) -> None:
        self._session = _opened(path, device, _options(threads))
        if device.is_cuda and self._session.get_providers()[0] != "CUDAExecutionProvider":
            raise EngineError(
                f"LUNA_DEVICE={device.name}, but CUDA does not start (no GPU, driver or CUDA libraries): "
                "use LUNA_DEVICE=cpu or install requirements-gpu.txt."
            )
        self._bound_to = ("cuda", device.index) if device.is_cuda else None
        self._input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def run(self, tensor: Tensor) -> list[Tensor]:
        """Return the outputs of one batch, in the order of `outputs`."""
        if self._bound_to is not None:
            return self.run_bound(tensor, *self._bound_to)
        return [np.asarray(output) for output in self._session.run(None, {self._input: tensor})]

    def run_bound(self, tensor: Tensor, device: str, index: int) -> list[Tensor]:
        """Run one batch with all outputs on `device` and one synchronisation, instead of one per output."""
        binding = self._session.io_binding()
        binding.bind_cpu_input(self._input, np.ascontiguousarray(tensor))
        for name in self.outputs:
            binding.bind_output(name, device, index)
        self._session.run_with_iobinding(binding)
        return [np.asarray(output) for output in binding.copy_outputs_to_cpu()]


def placement(path: Path, device: Device, tensor: Tensor) -> dict[str, list[str]]:
    """Return the types of nodes by execution provider, from the profile of one run with `tensor`."""
    with tempfile.TemporaryDirectory(prefix="luna-placement-") as folder:
        options = _options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = _opened(path, device, options)
        session.run(None, {session.get_inputs()[0].name: tensor})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kinds: dict[str, list[str]] = {}
    for event in events:
        arguments = event.get("args", {})
        if "provider" in arguments and "op_name" in arguments:
            kinds.setdefault(arguments["provider"], []).append(arguments["op_name"])
    return kinds


def check_placement(name: str, kinds: Mapping[str, Sequence[str]]) -> None:
    """Check that a network runs on CUDA. Raises EngineError if more than shape arithmetic runs on the CPU."""
    left = sorted(set(kinds.get("CPUExecutionProvider", ())) - SHAPE_KINDS)
    if left:
        raise EngineError(
            f"Network {name} runs {', '.join(left)} on the CPU although LUNA_DEVICE is CUDA: use LUNA_DEVICE=cpu or "
            "another network."
        )


def _options(threads: int = 1) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other runs need the processors
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    return options


def _opened(path: Path, device: Device, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(path), options, providers=device.providers())
    except Exception as error:  # onnxruntime raises C++ exceptions without a common base class
        raise EngineError(f"Network file {path} cannot be loaded on {device.name}: {first_line(error)}") from error
