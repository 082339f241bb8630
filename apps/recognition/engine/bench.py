"""Benchmark of single networks: milliseconds per batch and images per second, one run at a time."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from apps.recognition.engine.heads.base import LONGER_SIDE_PX
from apps.recognition.engine.sessions import Device, OnnxSession
from apps.recognition.networks.registry import InstalledNetwork
from apps.recognition.networks.specs import InputSpec

HEADER = ("network", "device", "batch", "ms", "fastest ms", "an image", "images/s")
MIN_RUNS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Times of a network with one batch size: median and minimum, which other programs disturb least."""

    network: str
    device: str
    batch: int
    batch_ms: float
    fastest_ms: float

    @property
    def images_per_s(self) -> float:
        """Images per second of sequential runs."""
        return self.batch * 1e3 / self.batch_ms

    @property
    def row(self) -> tuple[str, ...]:
        """Cells for the columns of `HEADER`."""
        image_ms = self.fastest_ms / self.batch
        cells = (f"{self.batch_ms:.3f}", f"{self.fastest_ms:.3f}", f"{image_ms:.3f}", f"{self.images_per_s:,.0f}")
        return (self.network, self.device, str(self.batch), *cells)


def measure(network: InstalledNetwork, device: Device, *, seconds: float) -> Iterator[Speed]:
    """Measure a network in each of its batch sizes, for `seconds` each after one warm-up run.

    A free input size is the square that detectors use. The times include copies to and from the device, and exclude the
    conversion of pixels to inputs. Raises EngineError if the network cannot be loaded.
    """
    session = OnnxSession(network.path, device)
    for rows in network.manifest.batch_sizes:
        tensor = network.manifest.input.tensor(_noise(network.manifest.input, rows))
        session.run(tensor)
        times_ms: list[float] = []
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop or len(times_ms) < MIN_RUNS:
            started = time.perf_counter()
            session.run(tensor)
            times_ms.append((time.perf_counter() - started) * 1e3)
        yield Speed(network.manifest.name, device.name, rows, statistics.median(times_ms), min(times_ms))


def _noise(spec: InputSpec, rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    height, width = spec.height or LONGER_SIDE_PX, spec.width or LONGER_SIDE_PX
    return np.random.default_rng(0).integers(0, 256, (rows, height, width, spec.channels), np.uint8)
