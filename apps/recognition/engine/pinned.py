"""Page-locked ("pinned") host memory, from which CUDA copies to the device directly.

The driver copies every tensor in ordinary memory into its own page-locked buffer first. It recognises page-locked
memory by its address, so ONNX Runtime needs no configuration. The Python interface of ONNX Runtime cannot allocate such
memory, so this module calls cudaHostAlloc (CUDA Runtime API, "Memory Management") of the same runtime library.
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
    """One buffer per thread, as large as the thread's largest tensor.

    `runtime`: libcudart. Raises EngineError if the device cannot allocate page-locked memory.
    """

    def __init__(self, device: Device, runtime: Any) -> None:
        self._device = device
        self._runtime = runtime
        self._own = threading.local()
        self._allocated(SMALLEST_BYTES)  # freed at once; it reports a failing allocation at start

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Return an uninitialised contiguous array. It is valid until the thread's next call."""
        count = math.prod(shape)
        memory = getattr(self._own, "memory", None)
        if memory is None or len(memory) < count * dtype.itemsize:
            memory = self._own.memory = self._allocated(max(count * dtype.itemsize, SMALLEST_BYTES))
        return np.frombuffer(memoryview(memory), dtype, count).reshape(shape)

    def _allocated(self, size: int) -> "ctypes.Array[ctypes.c_ubyte]":
        """Allocate page-locked bytes, which are freed with the last array that uses them."""
        address = ctypes.c_void_p()
        # Without this call the runtime would also open the first device, at a cost of some hundred megabytes.
        self._check(self._runtime.cudaSetDevice(self._device.index))
        self._check(self._runtime.cudaHostAlloc(ctypes.byref(address), size, 0))
        memory = (ctypes.c_ubyte * size).from_address(address.value or 0)
        weakref.finalize(memory, self._runtime.cudaFreeHost, address).atexit = False  # the driver may be unloaded
        return memory

    def _check(self, code: int) -> None:
        if code:
            reason = self._runtime.cudaGetErrorString(code).decode()
            raise EngineError(
                f"LUNA_DEVICE={self._device.name}, but CUDA cannot allocate page-locked memory ({reason}): "
                "use LUNA_DEVICE=cpu or repair the driver."
            )


def cuda_runtime(device: Device) -> ctypes.CDLL:
    """Return libcudart of the CUDA version of onnxruntime. Raises EngineError if it is not installed."""
    name = f"libcudart.so.{ort.cuda_version.partition('.')[0]}"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        message = f"LUNA_DEVICE={device.name}, but {name} of CUDA is not installed: install requirements-gpu.txt."
        raise EngineError(message) from error
    library.cudaSetDevice.argtypes = [ctypes.c_int]
    library.cudaHostAlloc.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_uint]
    library.cudaFreeHost.argtypes = [ctypes.c_void_p]
    library.cudaGetErrorString.argtypes, library.cudaGetErrorString.restype = [ctypes.c_int], ctypes.c_char_p
    return library
