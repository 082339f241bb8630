"""What both ways to a server have in common: names of types, errors, and the check of what came back."""

import time
from collections.abc import Mapping

import numpy as np

from apps.common import errors
from apps.common.errors import LunaError
from apps.recognition.engine.sessions import Tensor
from apps.recognition.networks.specs import Manifest

CONNECT_TIMEOUT_S = 3.0
DATATYPES = {"float32": "FP32", "uint8": "UINT8"}
DTYPES = {name: np.dtype(dtype) for dtype, name in DATATYPES.items()} | {"FP64": np.dtype("f8"), "FP16": np.dtype("f2")}


def seconds_left(deadline: float) -> float:
    """Until `deadline`, a time.monotonic(). Raises LunaError PROCESSING_TIMEOUT where it has passed."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise late(0)
    return left_s


def late(waited_s: float) -> LunaError:
    """The server did not answer in time."""
    return LunaError(errors.PROCESSING_TIMEOUT, round(waited_s, 1), status=503, headers={"Retry-After": "1"})


def away(reason: str) -> LunaError:
    """The server does not answer, or not as the protocol says."""
    return LunaError(errors.BATCHING_ERROR, f"inference server: {reason}", status=503, headers={"Retry-After": "1"})


def raw(tensor: Tensor) -> bytes:
    """The protocol's binary form: rows one after the other, little-endian."""
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()


def from_raw(data: bytes | memoryview, datatype: str) -> Tensor:
    """The other way round, flat. Raises KeyError for a type, ValueError for a length that does not fit."""
    return np.frombuffer(data, DTYPES[datatype].newbyteorder("<"))


def checked(manifest: Manifest, rows: int, found: Mapping[str, Tensor]) -> list[Tensor]:
    """The outputs as float32 in the manifest's order.

    `rows`: of the batch. Raises KeyError where one is missing, ValueError where its shape is not the manifest's.
    """
    outputs = []
    for spec in manifest.outputs:
        value = found[spec.name]
        wanted = (rows, *spec.shape) if spec.batch_axis else spec.shape
        if len(value.shape) != len(wanted) or any(w not in (0, s) for w, s in zip(wanted, value.shape, strict=True)):
            raise ValueError(f"output {spec.name} of {manifest.name} has the shape {value.shape}, not {wanted}")
        outputs.append(value.astype(np.float32, copy=False))
    return outputs
