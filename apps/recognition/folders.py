"""Descriptors of the faces in a folder of pictures, for commands that compare them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.common.descriptors import Descriptor
from apps.recognition.request.build import recognition_request
from apps.recognition.run.facade import recognise
from apps.recognition.types import ImageInput, MultifacePolicy

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".gif"})


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Picture in a folder. `name`: relative path. `vectors`: unit vectors of its faces. `problem`: why it has none."""

    name: str
    vectors: tuple[NDArray[np.float32], ...]
    problem: str = ""


def described_faces(directory: Path, *, best: bool, version: int | None = None) -> Iterator[Described]:
    """Yield every picture in a folder and its sub-folders, sorted by path; with `best` one face of each."""
    policy = MultifacePolicy.BEST if best else MultifacePolicy.ALL
    request = recognition_request(estimations={"face_descriptor"}, multiface=policy, descriptor_version=version)
    for picture in sorted(path for path in directory.rglob("*") if path.suffix.lower() in SUFFIXES):
        name = str(picture.relative_to(directory))
        (result,) = recognise([ImageInput(picture.read_bytes(), name)], request.plan)
        found = [face.estimations["face_descriptor"] for face in result.faces]
        vectors = tuple(each.vector for each in found if isinstance(each, Descriptor))
        yield Described(name, vectors, "" if vectors else (result.error.detail if result.error else "no face"))
