"""Scan of segments on a device of ONNX Runtime, in whose memory their codes remain.

The proof is that of `scan`. The device returns the rows with the highest upper bounds. The bounds of these rows are
refined here. No other row can be among the nearest ones if the lowest returned bound is below the k-th best lower bound
(or the threshold). Otherwise the device returns four times as many rows, and after `MOST` rows the CPU scans.

int8: the products are exact. fp16: codes are exact in float16; the vector loses what its rounding loses, and a product
is off by at most `HALF_ERROR`. Each segment is compared with the CPU before its first use.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from apps.common.config import config
from apps.common.cuda import ERRORS_ONLY, cuda_is_built_in, device_index, load_cuda_libraries, providers
from apps.common.process import Status
from apps.matching.config import MatcherDevice, Precision
from apps.matching.segments.codes import Floats, rounding
from apps.matching.segments.scan import Best, Query, Rows, Scan, Segment, query_of, refine, scan

logger = logging.getLogger(__name__)

# A product of unit vectors in float16 with sums in float32 is off by 2⁻¹¹ and d·2⁻²⁴. cuBLAS may also add up to eight
# partial sums in float16.
HALF_ERROR = 2.0**-8
FIRST = 128  # rows of the first answer, or eight for each result
PER_RESULT = 8
GROWTH = 4
MOST = 16_384
PRODUCTS_AT_ONCE = 2**27  # values of one temporary tensor
PROBED_ROWS, PROBED_VECTORS = 4096, 4
PAUSE_S = 60.0  # after a fault


class DeviceError(Exception):
    """The device does not work. The message is one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Resident:
    """A segment in the device's memory.

    On the CPU: `residual` of all rows, float32 [n, 1]; `weights` of the segment's coordinates, float32 [d].
    """

    codes: ort.OrtValue
    scale: ort.OrtValue
    residual: Floats
    weights: Floats
    bytes: int


class MatchingDevice:
    """Device of one process with the segments in its memory.

    `name`: cpu (for tests), cuda or cuda:N. `min_rows`: smaller segments remain on the CPU. Raises DeviceError if the
    device is not present.
    """

    def __init__(self, name: str, precision: Precision, *, memory_limit: int, min_rows: int) -> None:
        self.name, self.precision = name, precision
        self._memory_limit, self._min_rows = memory_limit, min_rows
        self._index = device_index(name)
        if self._index is not None:
            if not cuda_is_built_in():
                raise DeviceError(f"LUNA_MATCHER_DEVICE={name}, but this onnxruntime has no CUDA.")
            load_cuda_libraries()
        self._kind, self._number = ("cpu", 0) if self._index is None else ("cuda", self._index)
        self._sessions = {gathered: self._session(gathered) for gathered in (False, True)}
        self._residents: WeakKeyDictionary[Segment, Resident] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self.counts: Counter[str] = Counter()

    def scan_of(self, segments: Sequence[Segment], dead: Sequence[Rows], before: Scan | None = None) -> Scan:
        """Copy segments to the device as far as they fit and return the scan.

        `dead`: rows that are never valid. `before`: an earlier scan of the same segments, which is returned if nothing
        can have changed.
        """
        if isinstance(before, DeviceScan) and not before.can_grow:
            return before
        placed = {}
        for segment, gone in zip(segments, dead, strict=True):
            resident = self._resident(segment)
            if resident is not None:
                residual = resident.residual
                if len(gone):
                    residual = residual.copy()
                    residual[gone] = -np.inf
                placed[segment] = Placed(resident, self._moved(residual), gone)
        missing = [self._bytes(each) for each in segments if self._fits(each) and each not in placed]
        return DeviceScan(self, placed, min(missing, default=0))

    def status(self) -> Status:
        """Return the name, the segments in memory and the number of scans by their end."""
        residents = list(self._residents.values())
        return {
            "device": self.name,
            "device_segments": len(residents),
            "device_bytes": sum(each.bytes for each in residents),
            "device_scans": self.counts["proven"],
            "device_widened": self.counts["widened"],
            "device_left_to_cpu": self.counts["unproven"],
            "device_failed": self.counts["failed"],
        }

    def highest(
        self, placed: "Placed", query: Query, count: int, only: Rows | None
    ) -> tuple[NDArray[np.float64], Rows]:
        """Return the highest upper bounds, descending, and their rows, both [m, count].

        Raises the errors of ONNX Runtime.
        """
        vectors, step, lost = self._rounded(query, placed.resident.weights)
        session = self._sessions[only is not None]
        binding = session.io_binding()
        binding.bind_ortvalue_input("codes", placed.resident.codes)
        binding.bind_ortvalue_input("scale", placed.resident.scale)
        binding.bind_ortvalue_input("residual", placed.residual)
        inputs = {
            "vectors": np.ascontiguousarray(vectors.T),
            "step": step[None].astype(np.float32),
            "growth": (1 + lost)[None].astype(np.float32),
            "count": np.array([count], np.int64),
        }
        if only is not None:
            inputs["rows"] = only.astype(np.int64)
        for name, value in inputs.items():
            binding.bind_cpu_input(name, value)
        for name in ("bounds", "places"):
            binding.bind_output(name, self._kind, self._number)
        session.run_with_iobinding(binding)
        bounds, places = (np.asarray(each) for each in binding.copy_outputs_to_cpu())
        more = lost + rounding(query.wide.shape[1]) + (HALF_ERROR if self.precision == "fp16" else 0.0)
        rows = places if only is None else only[places]
        return bounds.astype(np.float64) + more[:, None], rows.astype(np.intp)

    @property
    def paused(self) -> bool:
        """Return whether the CPU scans after a fault of the device."""
        return time.monotonic() < self._paused_until

    def pause(self) -> None:
        """Let the CPU scan for a while."""
        self.counts["failed"] += 1
        self._paused_until = time.monotonic() + PAUSE_S

    def _session(self, gathered: bool) -> ort.InferenceSession:
        from apps.matching.segments.device_graph import proposal_graph  # imports onnx, which only devices need

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        session = ort.InferenceSession(
            proposal_graph(self.precision, gathered=gathered), options, providers=providers(self._index)
        )
        if self._index is not None and session.get_providers()[0] != "CUDAExecutionProvider":
            raise DeviceError(
                f"LUNA_MATCHER_DEVICE={self.name}, but CUDA does not start (no GPU, driver or libraries)."
            )
        return session

    @property
    def free_bytes(self) -> int:
        """Return the memory that segments may still take."""
        return self._memory_limit - sum(each.bytes for each in list(self._residents.values()))

    def _bytes(self, segment: Segment) -> int:
        return segment.codes.size * (1 if self.precision == "int8" else 2) + 8 * len(segment.keys)

    def _fits(self, segment: Segment) -> bool:
        return len(segment.keys) >= max(1, self._min_rows)

    def _resident(self, segment: Segment) -> Resident | None:
        """Return the segment in the device's memory, None if it is too small, too large, or differs from the CPU."""
        if not self._fits(segment):
            return None
        with self._lock:
            found = self._residents.get(segment)
            size = self._bytes(segment)
            if found is not None or self.paused or size > self.free_bytes:
                return found
            try:
                codes = segment.codes if self.precision == "int8" else segment.codes.astype(np.float16)
                scale, residual = segment.scale[:, None], segment.residual[:, None]
                resident = Resident(self._moved(codes), self._moved(scale), residual, segment.basis.weights(), size)
                self._check(segment, resident)
            except Exception:  # ONNX Runtime's errors have no common class
                self.pause()
                logger.exception("A segment of %d rows is scanned by the CPU", len(segment.keys))
                return None
            self._residents[segment] = resident
            return resident

    def _moved(self, values: NDArray[Any]) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._kind, self._number)

    def _rounded(self, query: Query, weights: Floats) -> tuple[NDArray[Any], Floats, Floats]:
        """Return the vectors in the precision of the products [m, d], their steps and what they lose, both [m]."""
        if self.precision == "int8":
            return np.rint(query.wide / query.step[:, None]).astype(np.int8), query.step, query.lost
        # Products remain below the largest float16, 65,504: at most 127 · 256.
        step = np.abs(query.wide).max(axis=1).clip(1e-30) * max(1.0, query.wide.shape[1] / 256)
        rounded = (query.wide / step[:, None]).astype(np.float16)
        lost = np.linalg.norm((query.wide - rounded.astype(np.float32) * step[:, None]) * weights, axis=1)
        return rounded, step, lost

    def _check(self, segment: Segment, resident: Resident) -> None:
        """Compare bounds with those of the CPU, for some rows. Raises DeviceError for a difference beyond the proof."""
        random = np.random.default_rng(0)
        count = min(PROBED_ROWS, len(segment.keys))
        rows = np.sort(random.choice(len(segment.keys), count, replace=False)).astype(np.intp)
        near = segment.codes[rows[:: max(1, count // PROBED_VECTORS)]] / segment.basis.weights()
        vectors = near / np.maximum(np.linalg.norm(near, axis=1, keepdims=True), 1e-12)
        if segment.basis.rotation is not None:
            vectors = vectors @ segment.basis.rotation
        query = query_of(segment.basis, vectors.astype(np.float32))
        placed = Placed(resident, self._moved(resident.residual), np.empty(0, np.intp))
        bounds, found = self.highest(placed, query, count, rows)
        rounded, step, lost = self._rounded(query, resident.weights)
        cosines = segment.codes[rows].astype(np.float64) @ rounded.astype(np.float64).T
        cosines *= segment.scale[rows].astype(np.float64)[:, None] * step
        expected = cosines + segment.residual[rows][:, None] * (1.0 + lost) + lost
        places = np.searchsorted(rows, found)
        slack = bounds - expected[places, np.arange(len(bounds))[:, None]]
        margin = 2 * (rounding(segment.basis.dimension) + HALF_ERROR)
        if not (slack.min() >= 0 and slack.max() <= margin and (np.sort(found, axis=1) == rows).all()):
            raise DeviceError(f"{self.name} computes bounds that differ from those of the CPU.")


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A resident segment of one copy of a list. `residual`: −∞ for the rows of `dead`."""

    resident: Resident
    residual: ort.OrtValue
    dead: Rows


@dataclass(frozen=True, slots=True, eq=False)
class DeviceScan:
    """Scan of one copy of a list, with the arguments and the result of `scan`.

    Segments that are not in the device's memory are scanned by the CPU. `missing`: bytes of the smallest one that is
    large enough for the device; 0: none.
    """

    device: MatchingDevice
    placed: Mapping[Segment, Placed]
    missing: int

    @property
    def can_grow(self) -> bool:
        """Return whether a missing segment may fit now."""
        return 0 < self.missing <= self.device.free_bytes and not self.device.paused

    def __call__(
        self, segment: Segment, vectors: Floats, best: Best, *, without: Rows, only: Rows | None = None
    ) -> None:
        placed = self.placed.get(segment)
        if placed is None or self.device.paused:
            scan(segment, vectors, best, without=without, only=only)
            return
        at_once = max(1, PRODUCTS_AT_ONCE // len(segment.keys))
        for start in range(0, len(vectors), at_once):
            part = slice(start, start + at_once)
            own = best.part(part)
            if not self._proposed(placed, segment, vectors[part], own, without, only):
                own = best.part(part)
                scan(segment, vectors[part], own, without=without, only=only)
            best.take(part, own)

    def _proposed(
        self, placed: Placed, segment: Segment, vectors: Floats, best: Best, without: Rows, only: Rows | None
    ) -> bool:
        """Add the rows of the segment to `best`; return False if the device cannot prove that none is missing."""
        rows = len(segment.keys) if only is None else len(only)
        if not rows:
            return True
        query = query_of(segment.basis, vectors)
        spare = max(0, len(without) - len(placed.dead))  # rows that became invalid since; each can take a place
        count = min(rows, max(FIRST, PER_RESULT * best.limit) + spare)
        counts = self.device.counts
        while True:
            try:
                bounds, found = self.device.highest(placed, query, count, only)
            except Exception:  # ONNX Runtime's errors have no common class
                self.device.pause()
                logger.exception("%s fails; the CPU scans", self.device.name)
                return False
            trial = best.part(slice(None))
            place, number = np.nonzero((bounds >= trial.floor[:, None]) & ~np.isin(found, without))
            refine(segment, query, trial, found[place, number], place)
            left = bounds[:, -1]
            if count == rows or bool(((left < trial.floor) | (left == -np.inf)).all()):
                best.take(slice(None), trial)
                counts["proven"] += 1
                return True
            if count >= MOST:
                counts["unproven"] += 1
                return False
            counts["widened"] += 1
            count = min(rows, GROWTH * count)


def matching_device() -> MatchingDevice:
    """Return the device of the settings. Raises DeviceError if it is not present."""
    settings = config(MatcherDevice)
    return MatchingDevice(
        settings.device, settings.precision, memory_limit=settings.memory_limit, min_rows=settings.smallest_segment
    )
