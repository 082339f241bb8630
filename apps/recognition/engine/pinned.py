"""Page-locked ("pinned") host memory, which CUDA copies to the device without a stop.

From ordinary memory the driver copies every tensor into a page-locked buffer of its own first. It knows page-locked
memory by its address, so ONNX Runtime need not be told. The memory comes from the runtime library that ONNX Runtime's
CUDA provider uses itself (cudaHostAlloc, CUDA Runtime API, "Memory Management"): its Python interface gives none.
"""

import ctypes
import math
import threading
import weakref
from typing import Any

import numpy as np
import onnxruntime as ort

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.sessions import Device, Tensor

SMALLEST_BYTES = 1024**2


class PinnedBuffers:
    """A buffer for each thread that asks, as large as the largest tensor that it asked for.

    Raises EngineError where the device gives no page-locked memory. `runtime`: libcudart.
    """

    def __init__(self, device: Device, runtime: Any) -> None:
        self._device = device
        self._runtime = runtime
        self._own = threading.local()
        self._allocated(SMALLEST_BYTES)  # given back at once: it only tells at the start what would fail later

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """A contiguous array that is not cleared; it is this thread's until it asks again."""
        count = math.prod(shape)
        memory = getattr(self._own, "memory", None)
        if memory is None or len(memory) < count * dtype.itemsize:
            memory = self._own.memory = self._allocated(max(count * dtype.itemsize, SMALLEST_BYTES))
        return np.frombuffer(memoryview(memory), dtype, count).reshape(shape)

    def _allocated(self, size: int) -> "ctypes.Array[ctypes.c_ubyte]":
        """Page-locked bytes; they are freed when the last array on them is gone."""
        address = ctypes.c_void_p()
        # Without this the runtime would open the first device too, at some hundred megabytes.
        self._check(self._runtime.cudaSetDevice(self._device.index))
        self._check(self._runtime.cudaHostAlloc(ctypes.byref(address), size, 0))
        memory = (ctypes.c_ubyte * size).from_address(address.value or 0)
        weakref.finalize(memory, self._runtime.cudaFreeHost, address).atexit = False  # the driver may be gone by then
        return memory

    def _check(self, code: int) -> None:
        if code:
            reason = self._runtime.cudaGetErrorString(code).decode()
            raise EngineError(
                f"LUNA_DEVICE={self._device.name}, but CUDA gives no page-locked memory here ({reason}): "
                "use LUNA_DEVICE=cpu or see to the driver."
            )


def cuda_runtime(device: Device) -> ctypes.CDLL:
    """libcudart of the CUDA that onnxruntime was built for. Raises EngineError where it is not there."""
    name = f"libcudart.so.{ort.cuda_version.partition('.')[0]}"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        message = f"LUNA_DEVICE={device.name}, but {name} of CUDA is not there: install requirements-gpu.txt."
        raise EngineError(message) from error
    library.cudaSetDevice.argtypes = [ctypes.c_int]
    library.cudaHostAlloc.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_uint]
    library.cudaFreeHost.argtypes = [ctypes.c_void_p]
    library.cudaGetErrorString.argtypes, library.cudaGetErrorString.restype = [ctypes.c_int], ctypes.c_char_p
    return library
