"""Common parts of both transports: names of types, errors, and the validation of outputs."""

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
    """Return the seconds until `deadline` (time.monotonic()). Raises LunaError PROCESSING_TIMEOUT after it."""
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise late(0)
    return left_s


def late(waited_s: float) -> LunaError:
    """Return the error of a server that did not respond in time."""
    return LunaError(errors.PROCESSING_TIMEOUT, round(waited_s, 1), status=503, headers={"Retry-After": "1"})


def away(reason: str) -> LunaError:
    """Return the error of a server that does not respond or violates the protocol."""
    return LunaError(errors.BATCHING_ERROR, f"inference server: {reason}", status=503, headers={"Retry-After": "1"})


def raw(tensor: Tensor) -> bytes:
    """Return the protocol's binary form: row by row, little-endian."""
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()


def from_raw(data: bytes | memoryview, datatype: str) -> Tensor:
    """Decode the binary form to a flat tensor. Raises KeyError for an unknown type, ValueError for a wrong length."""
    return np.frombuffer(data, DTYPES[datatype].newbyteorder("<"))


def checked(manifest: Manifest, rows: int, found: Mapping[str, Tensor]) -> list[Tensor]:
    """Return the outputs as float32, in the manifest's order.

    `rows`: rows of the batch. Raises KeyError for a missing output, ValueError for a shape that differs from the
    manifest's.
    """
    outputs = []
    for spec in manifest.outputs:
        value = found[spec.name]
        wanted = (rows, *spec.shape) if spec.batch_axis else spec.shape
        if len(value.shape) != len(wanted) or any(w not in (0, s) for w, s in zip(wanted, value.shape, strict=True)):
            raise ValueError(f"output {spec.name} of {manifest.name} must have the shape {wanted}, got {value.shape}")
        outputs.append(value.astype(np.float32, copy=False))
    return outputs
