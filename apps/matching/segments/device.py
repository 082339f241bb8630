"""Scan of segments on a device of ONNX Runtime, in whose memory their codes remain.

The proof is that of `scan`. The device returns the rows with the highest upper bounds of each group of rows. The bounds
of those that can be among the nearest ones are refined here. No other row can be among them if the lowest returned
bound of each group is below the k-th best lower bound (or the threshold). Otherwise the device returns four times as
many rows, and after `MOST` rows the CPU scans.

Products are those of float16 vectors. A vector loses what its rounding loses, and a bound is off by at most
`HALF_ERROR`. Each segment is compared with the CPU before its first use.
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
from apps.matching.segments.device_graph import GROUPS, SMALLEST_BLOCK, block_of, coded, padded, proposal_graph
from apps.matching.segments.scan import Best, Rows, Scan, Segment, refine, scan, wide_of

logger = logging.getLogger(__name__)

# A product of unit vectors with sums in float32 is off by d·2⁻²⁴ and, for float16, by 2⁻¹¹ for each of these roundings:
# the step of int8 codes or the numbers of fp16 ones, the numbers of int8 ones, the result. cuBLAS may add up to four
# partial sums in float16. A sum of product and residual is off by 2⁻¹¹.
HALF_ERROR = 2.0**-8
FIRST = 32  # rows of each group: up to 32, TopK on CUDA is three times as fast
# Residual of absent rows. Not −∞: TopK on CUDA ranks its own padding, the least finite float32, above −∞, and returns
# rows that do not exist.
ABSENT = -10_000.0
LARGEST_NORM = 2.0  # of the codes of a row: at most 1 and its residual
GROWTH = 4
MOST = 512
PRODUCTS_AT_ONCE = 2**27  # values of one temporary tensor
PROBED_ROWS, PROBED_VECTORS = 4096, 4
PAUSE_S = 60.0  # after a fault


class DeviceError(Exception):
    """The device does not work. The message is one sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Resident:
    """A segment in the device's memory, padded with rows that are absent.

    On the device: `constants`, inputs of the graph by name. On the CPU: `residual` of all rows, float16 [1, n];
    `weights` of the segment's coordinates, float32 [d]. `sessions`: for all rows, and for some.
    """

    constants: Mapping[str, ort.OrtValue]
    residual: NDArray[np.float16]
    weights: Floats
    sessions: Mapping[bool, ort.InferenceSession]
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
        self._session(GROUPS, SMALLEST_BLOCK, gathered=False)  # raises an error if the device does not work
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
                    residual[0, gone] = ABSENT
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
        self, placed: "Placed", wide: Floats, each: int, only: Rows | None
    ) -> tuple[NDArray[np.float64], Rows, NDArray[np.float64]]:
        """Return the `each` highest upper bounds of each group, their rows, and a bound of all other rows.

        Bounds and rows: [m, n]; absent rows have bounds below `ABSENT` / 2. The last one: [m]. Raises the errors of
        ONNX Runtime.
        """
        vectors, lost = self._rounded(wide, placed.resident)
        session = placed.resident.sessions[only is not None]
        binding = session.io_binding()
        for name, value in placed.resident.constants.items():
            binding.bind_ortvalue_input(name, value)
        binding.bind_ortvalue_input("residual", placed.residual)
        rows, total = None, placed.resident.residual.shape[1]
        if only is not None:
            rows = np.full(padded(len(only)), total - 1, np.int64)  # the last row is padding
            rows[: len(only)] = only
            binding.bind_cpu_input("rows", rows)
            total = len(rows)
        group = total // GROUPS
        binding.bind_cpu_input("vectors", vectors)
        binding.bind_cpu_input("each", np.array([min(each, group)], np.int64))
        for name in ("bounds", "places"):
            binding.bind_output(name, "cpu")
        session.run_with_iobinding(binding)
        highest, places = binding.copy_outputs_to_cpu()
        bounds = highest.astype(np.float64) + (lost + rounding(wide.shape[1]))[:, None, None]
        left = bounds[:, :, -1].max(axis=1) if each < group else np.full(len(bounds), -np.inf)
        found = (places + (np.arange(GROUPS) * group)[:, None]).reshape(len(bounds), -1)
        return bounds.reshape(found.shape), (found if rows is None else rows[found]).astype(np.intp), left

    @property
    def paused(self) -> bool:
        """Return whether the CPU scans after a fault of the device."""
        return time.monotonic() < self._paused_until

    def pause(self) -> None:
        """Let the CPU scan for a while."""
        self.counts["failed"] += 1
        self._paused_until = time.monotonic() + PAUSE_S

    def _session(self, rows: int, dimension: int, *, gathered: bool) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        graph = proposal_graph(self.precision, rows=rows, dimension=dimension, gathered=gathered)
        session = ort.InferenceSession(graph, options, providers=providers(self._index))
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
        rows, dimension = padded(len(segment.keys)), segment.basis.dimension
        block, blocks = block_of(dimension)
        return rows * (block * blocks + 2 * blocks + 2 if self.precision == "int8" else 2 * dimension + 2)

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
                resident = self._placed(segment, size)
                self._check(segment, resident)
            except Exception:  # ONNX Runtime's errors have no common class
                self.pause()
                logger.exception("A segment of %d rows is scanned by the CPU", len(segment.keys))
                return None
            self._residents[segment] = resident
            return resident

    def _moved(self, values: NDArray[Any]) -> ort.OrtValue:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._kind, self._number)

    def _placed(self, segment: Segment, size: int) -> Resident:
        count, rows, dimension = len(segment.keys), padded(len(segment.keys)), segment.basis.dimension
        residual = np.full((1, rows), ABSENT, np.float16)
        residual[0, :count] = segment.residual
        residual[0, :count] = np.nextafter(residual[0, :count], np.float16(np.inf))
        constants = {"codes": self._moved(coded(segment.codes, segment.scale, self.precision))}
        if self.precision == "int8":
            scale = np.zeros((rows, block_of(dimension)[1]), np.float16)
            scale[:count] = segment.scale[:, None]
            constants["scale"] = self._moved(scale)
        sessions = {gathered: self._session(rows, dimension, gathered=gathered) for gathered in (False, True)}
        return Resident(constants, residual, segment.basis.weights(), sessions, size)

    def _rounded(self, wide: Floats, resident: Resident) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
        """Return the vectors as the graph takes them, [m, d'], and a bound of what the bounds lose, [m]."""
        dimension, rounded = wide.shape[1], wide.astype(np.float16)
        lost = np.linalg.norm((wide - rounded.astype(np.float32)) * resident.weights, axis=1).astype(np.float64)
        if self.precision == "int8":
            block, blocks = block_of(dimension)
            rounded = np.pad(rounded, ((0, 0), (0, block * blocks - dimension)))
        return rounded, LARGEST_NORM * lost + HALF_ERROR

    def _check(self, segment: Segment, resident: Resident) -> None:
        """Compare bounds with those of the CPU, for some rows. Raises DeviceError for a difference beyond the proof."""
        random = np.random.default_rng(0)
        count = min(PROBED_ROWS, len(segment.keys))
        rows = np.sort(random.choice(len(segment.keys), count, replace=False)).astype(np.intp)
        near = segment.codes[rows[:: max(1, count // PROBED_VECTORS)]] / segment.basis.weights()
        vectors = near / np.maximum(np.linalg.norm(near, axis=1, keepdims=True), 1e-12)
        if segment.basis.rotation is not None:
            vectors = vectors @ segment.basis.rotation
        wide = wide_of(segment.basis, vectors.astype(np.float32))
        placed = Placed(resident, self._moved(resident.residual), np.empty(0, np.intp))
        bounds, found, _ = self.highest(placed, wide, count, rows)
        order = np.argsort(found, axis=1)[:, :count]  # without the padding
        bounds, found = np.take_along_axis(bounds, order, axis=1), np.take_along_axis(found, order, axis=1)
        cosines = segment.codes[rows].astype(np.float64) @ wide.astype(np.float64).T
        expected = cosines * segment.scale[rows].astype(np.float64)[:, None] + segment.residual[rows][:, None]
        slack = bounds - expected.T
        margin = 2 * (rounding(segment.basis.dimension) + HALF_ERROR)
        if not (slack.min() >= 0 and slack.max() <= margin and (found == rows).all()):
            raise DeviceError(f"{self.name} computes bounds that differ from those of the CPU.")


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A resident segment of one copy of a list. `residual`: `ABSENT` for the rows of `dead`."""

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
        wide = wide_of(segment.basis, vectors)
        each, group = FIRST, padded(rows) // GROUPS
        counts = self.device.counts
        while True:
            try:
                bounds, found, left = self.device.highest(placed, wide, each, only)
            except Exception:  # ONNX Runtime's errors have no common class
                self.device.pause()
                logger.exception("%s fails; the CPU scans", self.device.name)
                return False
            if len(without):
                bounds[np.isin(found, without)] = -np.inf
            trial = best.part(slice(None))
            # The first ones raise the floor, so that few of the others remain.
            last = np.partition(bounds, -best.limit, axis=1)[:, -best.limit] if best.limit < bounds.shape[1] else left
            for chosen in (bounds >= last[:, None], bounds < last[:, None]):
                place, number = np.nonzero(chosen & (bounds >= trial.floor[:, None]) & (bounds > ABSENT / 2))
                refine(segment, wide, trial, found[place, number], place)
            if bool(((left < trial.floor) | (left < ABSENT / 2)).all()):
                best.take(slice(None), trial)
                counts["proven"] += 1
                return True
            if each >= min(MOST, group):
                counts["unproven"] += 1
                return False
            counts["widened"] += 1
            each *= GROWTH


def matching_device() -> MatchingDevice:
    """Return the device of the settings. Raises DeviceError if it is not present."""
    settings = config(MatcherDevice)
    return MatchingDevice(
        settings.device, settings.precision, memory_limit=settings.memory_limit, min_rows=settings.smallest_segment
    )
