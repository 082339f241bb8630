"""`manage.py similarity_matrix DIR`: similarities of the faces in a folder of pictures."""

import argparse
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError

from apps.common.descriptors import versions
from apps.recognition.folders import described_faces


class Command(BaseCommand):
    help = "Prints the similarity (0..1) of every pair of faces in the pictures of a folder."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument("--cosine", action="store_true", help="print cosines instead of similarities")
        parser.add_argument("--best", action="store_true", help="use only the best face of each picture")

    def handle(self, *, directory: Path, cosine: bool, best: bool, **options: object) -> None:
        labels, vectors = [], []
        pictures = 0
        for picture in described_faces(directory, best=best):
            pictures += 1
            if picture.problem:
                self.stderr.write(f"{picture.name}: {picture.problem}")
            for number, vector in enumerate(picture.vectors, 1):
                labels.append(picture.name if len(picture.vectors) == 1 else f"{picture.name} ({number})")
                vectors.append(vector)
        if not pictures:
            raise CommandError(f"{directory} contains no pictures")
        calibration = versions.default("face").calibration
        values = np.stack(vectors) @ np.stack(vectors).T if vectors else np.zeros((0, 0))
        if not cosine:
            values = np.vectorize(calibration.similarity, otypes=[float])(values)
        width = max(map(len, labels), default=0)
        for number, label in enumerate(labels):
            cells = " ".join(f"{value:5.2f}" if not cosine else f"{value:6.3f}" for value in values[number, :number])
            self.stdout.write(f"{number:4} {label:{width}} {cells}")
        self.stdout.write(f"{len(labels)} faces; the columns have the order of the rows")
