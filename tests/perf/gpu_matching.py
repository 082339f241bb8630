"""Scans of a list by the device `LUNA_DEVICE`, beside the time to read the list's codes once.

10,000,000 × 512 on CUDA, 100,000 on a CPU, or `LUNA_BENCH_FACES`. The floor on CUDA: the bytes of codes, steps and
residuals, divided by the bandwidth of a copy inside the device's memory. Each result is compared with the CPU's scan.
Descriptors are those of the benchmark `segments`, without PostgreSQL's decision.
"""

import ctypes
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from apps.common.config import config
from apps.common.processors import usable_processors
from apps.matching.config import Precision
from apps.matching.segments.codes import Basis, Floats, encode
from apps.matching.segments.device import MatchingDevice
from apps.matching.segments.scan import Best, Scan, Segment, scan
from apps.recognition.config import Runtime
from apps.recognition.engine.pinned import cuda_runtime
from apps.recognition.engine.sessions import Device
from tests.perf.people import population
from tests.perf.report import Row, percentile

DIMENSION, LIMIT, SCANS, WARM_UP = 512, 5, 30, 3
PART_ROWS = 50_000
COPIED_BYTES, COPIES = 2**32, 10
GOALS_MS: dict[Precision, float] = {"int8": 2, "fp16": 3}
NOTHING = np.empty(0, np.intp)


def bench() -> list[Row]:
    """Top 5 of one vector in both precisions, what stays unproven, and the CPU's scan on one core."""
    name = config(Runtime).global_device_class
    faces = int(os.environ.get("LUNA_BENCH_FACES", "100000" if name == "cpu" else "10000000"))
    segment, asked = drawn(faces)
    bandwidth = None if name == "cpu" else copied_per_second(Device(name))
    cpu, expected = timed(scan, segment, asked[: max(3, SCANS * 100_000 // faces)])
    text = f"{faces:,} × {DIMENSION}, top {LIMIT}"
    rows = [Row(f"{text}, the CPU's scan on one core, p50", cpu, "ms")]
    if bandwidth is not None:
        rows.append(Row("copy inside the device, bytes read and written", bandwidth / 1e9, "GB/s"))
    for precision, goal in GOALS_MS.items():
        device = MatchingDevice(name, precision, memory_limit=2**50, min_rows=1)
        chosen = device.scan_of([segment], [NOTHING])
        timed(chosen, segment, asked[:WARM_UP])
        device.counts.clear()
        own, floors = timed(chosen, segment, asked)
        np.testing.assert_allclose(floors[: len(expected)], expected, atol=1e-6)
        held = int(str(device.status()["device_bytes"]))
        floor = None if bandwidth is None else held / bandwidth * 1e3
        where, reads = f"{precision} on {name}", f"{held / 1e9:.2f} GB"
        ratio = own / (floor or cpu)
        wanted = "" if name == "cpu" else f"≤ {goal} ms"
        rows.append(Row(f"{text}, {where}, p50, beside {reads} read once", own, "ms", floor, ratio, wanted))
        rows.append(Row("… left to the CPU, of all scans", device.counts["unproven"] / SCANS, "", goal="0"))
        rows.append(Row("… asked again for more rows, of all scans", device.counts["widened"] / SCANS, ""))
        del chosen, device
    return rows


def drawn(faces: int) -> tuple[Segment, Floats]:
    """Return a segment of as many people, drawn by all processors, and the vectors of other people."""
    people, basis = population(DIMENSION).people, Basis(DIMENSION)
    codes = np.empty((faces, DIMENSION), np.int8)
    scale, residual, tail = (np.empty(faces, np.float32) for _ in range(3))

    def fill(start: int) -> None:
        rows = slice(start, min(faces, start + PART_ROWS))
        coded = encode(people(np.random.default_rng((2026, start)), rows.stop - start), basis)
        codes[rows], scale[rows], residual[rows], tail[rows] = coded.codes, coded.scale, coded.residual, coded.tail

    with ThreadPoolExecutor(usable_processors()) as pool:
        list(pool.map(fill, range(0, faces, PART_ROWS)))
    head = np.empty((faces, 0), np.int8)
    return Segment(basis, np.arange(faces), codes, head, scale, residual, tail), people(np.random.default_rng(1), SCANS)


def timed(chosen: Scan, segment: Segment, asked: Floats) -> tuple[float, list[float]]:
    """Return the median milliseconds of a scan, and the floor that each vector's scan ends with."""
    times, floors = [], []
    for vector in asked:
        best = Best.of(1, LIMIT, -1.0)
        started = time.perf_counter()
        chosen(segment, vector[None], best, without=NOTHING)
        times.append((time.perf_counter() - started) * 1e3)
        floors.append(float(best.floor[0]))
    return percentile(times, 50), floors


def copied_per_second(device: Device) -> float:
    """Return the bytes that a copy inside the device's memory reads and writes in a second."""
    runtime, places = cuda_runtime(device), [ctypes.c_void_p(), ctypes.c_void_p()]

    def check(code: int) -> None:
        assert code == 0, runtime.cudaGetErrorString(code).decode()

    def copy() -> None:
        on_device = 3  # cudaMemcpyDeviceToDevice
        check(runtime.cudaMemcpy(places[0], places[1], ctypes.c_size_t(COPIED_BYTES), on_device))

    check(runtime.cudaSetDevice(device.index))
    for place in places:
        check(runtime.cudaMalloc(ctypes.byref(place), ctypes.c_size_t(COPIED_BYTES)))
        check(runtime.cudaMemset(place, 1, ctypes.c_size_t(COPIED_BYTES)))
    rates = []
    for _ in range(3):
        rates.append(2 * COPIED_BYTES * COPIES / seconds(copy, runtime.cudaDeviceSynchronize))
    for place in places:
        check(runtime.cudaFree(place))
    return max(rates)


def seconds(copy: Callable[[], None], wait: Callable[[], int]) -> float:
    wait()
    started = time.perf_counter()
    for _ in range(COPIES):
        copy()
    wait()
    return time.perf_counter() - started
