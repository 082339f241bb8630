"""`manage.py similarity_matrix DIR`: how alike are the faces of a folder's pictures?"""

import argparse
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from apps.common.descriptors import versions
from apps.recognition.estimators.face_descriptor import Descriptor
from apps.recognition.facade import recognise
from apps.recognition.types import ImageInput, MultifacePolicy, Plan

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".tif", ".tiff", ".webp", ".gif"})


class Command(BaseCommand):
    help = "Prints the similarity (0..1) of every pair of faces in the pictures of a folder."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument("--cosine", action="store_true", help="print cosines instead of similarities")
        parser.add_argument("--best", action="store_true", help="take one face a picture, the best")

    def handle(self, *, directory: Path, cosine: bool, best: bool, **options: object) -> None:
        pictures = sorted(path for path in directory.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not pictures:
            raise CommandError(f"{directory} holds no pictures")
        labels, vectors = self._faces(directory, pictures, best=best)
        calibration = versions.default("face").calibration
        values = np.stack(vectors) @ np.stack(vectors).T if vectors else np.zeros((0, 0))
        if not cosine:
            values = np.vectorize(calibration.similarity, otypes=[float])(values)
        width = max(map(len, labels), default=0)
        for number, label in enumerate(labels):
            cells = " ".join(f"{value:5.2f}" if not cosine else f"{value:6.3f}" for value in values[number, :number])
            self.stdout.write(f"{number:4} {label:{width}} {cells}")
        self.stdout.write(f"{len(labels)} faces; columns are numbered as the rows")

    def _faces(
        self, directory: Path, pictures: list[Path], *, best: bool
    ) -> tuple[list[str], list[np.ndarray[tuple[int], np.dtype[np.float32]]]]:
        policy = MultifacePolicy.BEST if best else MultifacePolicy.ALL
        plan = Plan(estimators=frozenset({"face_descriptor"}), multiface=policy)
        labels, vectors = [], []
        for picture in pictures:
            name = str(picture.relative_to(directory))
            (result,) = recognise([ImageInput(picture.read_bytes(), name)], plan)
            if not result.faces:
                self.stderr.write(f"{name}: {result.error.detail if result.error else 'no face'}")
            for number, face in enumerate(result.faces, 1):
                descriptor = face.estimations["face_descriptor"]
                if isinstance(descriptor, Descriptor):
                    labels.append(name if len(result.faces) == 1 else f"{name} ({number})")
                    vectors.append(descriptor.vector)
        return labels, vectors
