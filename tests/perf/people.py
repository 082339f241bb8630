"""Descriptors of as many people as a benchmark needs, expanded from those of real faces.

1. The faces: those of the six sample photographs, of the samples of `@vladmandic/human` and scikit-image's astronaut
   (the photographs), and of scikit-image's subset of LFW (about 95 grey faces of 25 px, enlarged). Blends of two faces
   of the same set are rendered people. Together they are `PEOPLE`.
2. SFace, the embedded network, describes each crop twice, moved, mirrored, lit and blurred at random. 128-d: its
   descriptor. 512-d: the descriptors of four views of the crop (whole, eyes, mouth, wide), joined and normalised,
   because no embedded network has 512 numbers.
3. The expansion: a person is the mean of the photographs, plus `KEPT` of the deviation of one of the people, plus
   normal noise along the covariance of all people's deviations, so that the covariance stays that of the people. Both
   sets have their own means, because enlarged grey faces differ from photographs.
4. Another picture of a person adds normal noise along the covariance of the two descriptions of one person.

The descriptions take a minute and are kept in the cache directory.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from apps.common.config import Directories, config
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.sessions import Device, OnnxSession
from apps.recognition.engine.warps import aligned_crops, check_alignment
from apps.recognition.networks.builder import build_network
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.samples import sample_photographs
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan

Floats = NDArray[np.float32]
Crop = NDArray[np.float32]  # RGB [112, 112, 3], 0..255

NETWORK = "sface"
MATCH_COSINE = 0.45  # of similarity .8 in the manifest of the network
PEOPLE = 600
KEPT = 0.5
LFW_FACES = 100  # the second hundred of the subset shows no faces
BATCH = 16
BATCH_ROWS = 20_000
CENTRE = (56.0, 60.0)
VIEWS = (((56.0, 60.0), 1.0), ((56.0, 44.0), 1.5), ((56.0, 74.0), 1.5), ((56.0, 60.0), 0.8))  # middle, enlargement


@dataclass(frozen=True, eq=False)
class Population:
    """Descriptors of people.

    `mean`: [d]. `deviations` of the people: [n, d]. `between` people, `within` a person: roots of covariances, [d, d].
    """

    mean: Floats
    deviations: Floats
    between: Floats
    within: Floats

    @property
    def dimension(self) -> int:
        return len(self.mean)

    def people(self, random: np.random.Generator, count: int) -> Floats:
        """Return the descriptors of new people, unit vectors, float32 [count, d]."""
        return np.concatenate([self._people(random, min(BATCH_ROWS, count - at)) for at in range(0, count, BATCH_ROWS)])

    def _people(self, random: np.random.Generator, count: int) -> Floats:
        noise = random.standard_normal((count, self.dimension), dtype=np.float32) @ self.between
        known = self.deviations[random.integers(0, len(self.deviations), count)]
        return unit(self.mean + KEPT * known + np.float32((1 - KEPT**2) ** 0.5) * noise)

    def again(self, random: np.random.Generator, people: Floats) -> Floats:
        """Return the descriptors of other pictures of people, [n, d]."""
        return unit(people + random.standard_normal(people.shape, dtype=np.float32) @ self.within)


@cache
def population(dimension: int) -> Population:
    """Return the people in 128 or 512 dimensions."""
    photographs, first, second = _described()
    first, second = unit(first[:, :dimension]), unit(second[:, :dimension])
    means = np.where(photographs[:, None], first[photographs].mean(0), first[~photographs].mean(0))
    deviations = first - means
    return Population(
        first[photographs].mean(0), deviations.astype(np.float32), _root(deviations), _root(first - second)
    )


def unit(vectors: NDArray[Any]) -> Floats:
    """Return rows of length 1, float32."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _root(rows: NDArray[Any]) -> Floats:
    """Return the symmetric root of the covariance of rows whose mean is zero."""
    values, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    return ((axes * np.sqrt(np.maximum(values, 0))) @ axes.T).astype(np.float32)


def _described() -> tuple[NDArray[np.bool_], Floats, Floats]:
    """Return whether people are of photographs, [n], and their two descriptions, [n, 512]."""
    path = config(Directories).cache / "bench" / f"people-{NETWORK}-{PEOPLE}.npz"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, *_describe())
    with np.load(path) as stored:
        return stored["arr_0"], stored["arr_1"], stored["arr_2"]


def _describe() -> tuple[NDArray[np.bool_], Floats, Floats]:
    directories = config(Directories)
    registry = Registry(directories.networks)
    build_network(registry.manifest(NETWORK), directory=directories.networks, cache=directories.cache)
    crops = _crops(registry, directories.cache)
    random = np.random.default_rng(2026)
    people = [(kind, crop) for kind, kinds in enumerate(crops) for crop in kinds]
    while len(people) < PEOPLE:
        kind = len(people) % 2
        one, other = random.choice(len(crops[kind]), 2, replace=False)
        share = random.uniform(0.35, 0.65)
        people.append((kind, share * crops[kind][one] + (1 - share) * crops[kind][other]))
    session = OnnxSession(registry.get(NETWORK).path, Device("cpu"))
    first, second = (_joined(session, [_varied(random, crop) for _, crop in people]) for _ in range(2))
    return np.array([kind == 0 for kind, _ in people]), first, second


def _crops(registry: Registry, cache: Path) -> tuple[list[Crop], list[Crop]]:
    """Return the crops of the photographs and of LFW."""
    engine = Engine(EngineConfig(registry.directory))
    alignment = check_alignment(NETWORK, getattr(registry.manifest(NETWORK).descriptor, "alignment", None))
    pipeline = Pipeline(engine, Plan())

    def found(picture: bytes) -> list[Crop]:
        faces = pipeline.process(ImageInput(picture, "face")).faces
        warps, points = [face.warp for face in faces], [face.warp_landmarks5 for face in faces]
        return list(aligned_crops(warps, points, alignment).astype(np.float32)) if faces else []

    try:
        samples = [*sample_photographs(cache), cache / "npm/node_modules/@vladmandic/human/assets/samples.jpg"]
        photographs = [crop for path in samples for crop in found(path.read_bytes())]
        photographs += found(_png(skimage.data.astronaut()))
        lfw = [crop for face in skimage.data.lfw_subset()[:LFW_FACES] for crop in found(_png(_enlarged(face)))[:1]]
    finally:
        engine.close()
    return photographs, lfw


def _enlarged(face: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a grey face, 0..1, in the middle of a picture of 400×400 px, RGB."""
    large = cv2.resize((face * 255).astype(np.uint8), (200, 200), interpolation=cv2.INTER_CUBIC)
    return np.stack([np.pad(large, 100, mode="edge")] * 3, axis=-1)


def _png(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _varied(random: np.random.Generator, crop: Crop) -> Crop:
    """Return a crop as another picture would give it: moved, mirrored, lit, noisy, sometimes blurred."""
    matrix = cv2.getRotationMatrix2D(CENTRE, random.normal(0, 4), float(np.exp(random.normal(0, 0.06))))
    shift = np.array([[0, 0, 1]]) * random.normal(0, 2.5, (2, 1))
    moved = _resampled(crop, matrix + shift)
    moved = moved[:, ::-1] if random.random() < 0.5 else moved
    lit = (moved - 128) * np.exp(random.normal(0, 0.2)) + 128 + random.normal(0, 20) + random.normal(0, 5, crop.shape)
    if random.random() < 0.3:
        lit = cv2.GaussianBlur(lit, (0, 0), random.uniform(0.5, 1.5))
    return np.clip(lit, 0, 255).astype(np.float32)


def _joined(session: OnnxSession, crops: Sequence[Crop]) -> Floats:
    """Return the joined descriptors of all views, [n, 512]."""
    return unit(np.concatenate([_descriptors(session, [view(crop) for crop in crops]) for view in _views()], axis=1))


def _views() -> list[Callable[[Crop], Crop]]:
    def of(middle: tuple[float, float], factor: float) -> Callable[[Crop], Crop]:
        shift = [CENTRE[axis] - factor * middle[axis] for axis in (0, 1)]
        matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
        return lambda crop: _resampled(crop, matrix)

    return [of(*view) for view in VIEWS]


def _resampled(crop: Crop, matrix: NDArray[Any]) -> Crop:
    return cv2.warpAffine(crop, matrix, crop.shape[:2], borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _descriptors(session: OnnxSession, crops: Sequence[Crop]) -> Floats:
    rows = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
    rows = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % BATCH, axis=0)])  # batches have declared sizes
    described = np.concatenate([session.run(rows[at : at + BATCH])[0] for at in range(0, len(rows), BATCH)])
    return unit(described[: len(crops)])
