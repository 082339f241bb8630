"""Verification of installed networks against reference outputs.

`references/<network>.json` summarises the outputs for fixed inputs. The project's files were recorded with the original
runtime of the weights, not with ONNX Runtime (references/README.md). Agreement therefore also proves the conversion.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import InstalledNetwork
from apps.recognition.networks.specs import InputSpec

REFERENCE_DIR = Path(__file__).parent / "references"
BATCH = 2
ELEMENTS = 48
STATISTICS = ("mean", "std", "min", "max")
FREE_SIDE_PX = 160  # for inputs of a free size
OWN_SEED = 1
TOLERANCE_SHARE = 5e-5
TOLERANCE_FLOOR = 2e-6
NOISE_CELLS_PX = (64, 16, 4)


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of one output: largest absolute difference and tolerance."""

    network: str
    output: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the difference is within the tolerance; NaN is not."""
        return self.difference <= self.tolerance


def reference_images(spec: InputSpec, *, seed: int, batch: int) -> NDArray[np.uint8]:
    """Return pictures of coloured blocks of several sizes, equal on every machine: uint8 [batch, H, W, channels].

    Integers of NumPy's legacy generator, whose stream is frozen.
    """
    random = np.random.RandomState(seed)
    side = -(-FREE_SIDE_PX // spec.multiple_of) * spec.multiple_of
    height, width = spec.height or side, spec.width or side
    total = np.zeros((batch, height, width, spec.channels), np.int64)
    for cell in NOISE_CELLS_PX:
        rows, columns = -(-height // cell), -(-width // cell)
        blocks = random.randint(0, 256, (batch, rows, columns, spec.channels))
        total += blocks.repeat(cell, axis=1).repeat(cell, axis=2)[:, :height, :width]
    return (total // len(NOISE_CELLS_PX)).astype(np.uint8)


def summarise(array: NDArray[np.float32]) -> dict[str, Any]:
    """Return shape, statistics and evenly spaced elements of one output, as JSON values."""
    flat = array.astype(np.float64).ravel()
    indexes = np.unique(np.linspace(0, flat.size - 1, ELEMENTS).astype(np.int64))
    return {
        "shape": list(array.shape),
        **{name: float(getattr(np, name)(flat)) for name in STATISTICS},
        "elements": [[int(index), float(flat[index])] for index in indexes],
    }


def difference(array: NDArray[np.float32], summary: Mapping[str, Any]) -> float:
    """Return the largest absolute difference between an output and a summary, infinite for another shape."""
    if list(array.shape) != summary["shape"]:
        return float("inf")
    flat = array.astype(np.float64).ravel()
    pairs = [(float(getattr(np, name)(flat)), summary[name]) for name in STATISTICS]
    pairs += [(float(flat[index]), value) for index, value in summary["elements"]]
    return float(np.abs(np.subtract(*np.transpose(pairs))).max())


def _reference_file(name: str, networks: Path) -> Path:
    """Return the path of a network's reference: in the project, or else in the directory of networks."""
    own = REFERENCE_DIR / f"{name}.json"
    return own if own.is_file() else networks / "references" / f"{name}.json"


def has_reference(name: str, networks: Path) -> bool:
    """Return whether reference outputs of a network exist in the project or in the directory of networks."""
    return _reference_file(name, networks).is_file()


def load_reference(name: str, networks: Path) -> dict[str, Any]:
    """Return the recorded reference of a network. Raises NetworkError if it is missing."""
    path = _reference_file(name, networks)
    try:
        reference: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NetworkError(f"network {name} has no reference outputs ({path})") from None
    return reference


def tolerance(array: NDArray[np.float32]) -> float:
    """Return the tolerance of the absolute difference: several times the difference of two machines."""
    return float(f"{max(TOLERANCE_FLOOR, TOLERANCE_SHARE * float(np.abs(array).max())):.0e}")


def _images(network: InstalledNetwork, seed: int) -> NDArray[np.uint8]:
    """Return the reference input: two pictures, or one if the batch size is fixed at one."""
    return reference_images(network.manifest.input, seed=seed, batch=min(BATCH, network.manifest.batch_sizes[-1]))


def record_reference(network: InstalledNetwork, networks: Path) -> None:
    """Record the present outputs of an added network that has no reference outputs."""
    outputs = run_network(network, _images(network, OWN_SEED))
    reference = {
        "recorded_with": f"ONNX Runtime {onnxruntime.__version__}, CPU, when it was added",
        "seed": OWN_SEED,
        "outputs": {
            name: {"tolerance": tolerance(array)} | summarise(array.astype(np.float32))
            for name, array in outputs.items()
        },
    }
    path = networks / "references" / f"{network.manifest.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(reference, indent=1), encoding="utf-8")


def run_network(network: InstalledNetwork, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the network's outputs by name for pictures uint8 [N, H, W, channels], on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(network.path), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in network.manifest.outputs]
        spec = network.manifest.input
        values = session.run(names, {spec.name: spec.tensor(images)})
    except Exception as error:  # ONNX Runtime's errors have no public base class
        raise NetworkError(f"network {network.manifest.name} does not run: {error}") from error
    return dict(zip(names, values, strict=True))


def verify(network: InstalledNetwork) -> list[Verification]:
    """Run a network on its reference input and compare each output. Raises NetworkError if it cannot run."""
    name = network.manifest.name
    reference = load_reference(name, network.path.parent)
    outputs = run_network(network, _images(network, reference["seed"]))
    return [
        Verification(name, output, difference(outputs[output], summary), summary["tolerance"])
        for output, summary in reference["outputs"].items()
    ]
