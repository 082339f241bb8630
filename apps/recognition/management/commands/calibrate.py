"""`manage.py calibrate DIR`: error rates, calibration and ROC curve of a descriptor version on own pictures."""

import argparse
import json
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from numpy.typing import NDArray

from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.recognition.calibration import Pairs, calibration_of, pairs_of, proposed_points, roc_svg
from apps.recognition.folders import described_faces
from apps.recognition.networks.report import table

SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


class Command(BaseCommand):
    help = "Measures the error rates of a descriptor version on a folder with one sub-folder of pictures per person."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument("--descriptor-version", type=int, help="default: the version of new descriptors")
        parser.add_argument("--roc", type=Path, default=Path("roc.svg"), metavar="FILE.svg", help="default: roc.svg")

    def handle(self, *, directory: Path, descriptor_version: int | None, roc: Path, **options: object) -> None:
        try:
            version = versions.get(descriptor_version) if descriptor_version else versions.default("face")
            pairs, faces, people = self._pairs(directory, version.version)
        except (LunaError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"version {version.version} ({version.network}): {faces} faces of {people} people, "
            f"{len(pairs.genuine)} genuine pairs, {len(pairs.impostor)} impostor pairs, AUC {pairs.auc:.4f}"
        )
        self.stdout.write(table(("similarity", "cosine", "FMR", "pairs", "FNMR"), _rates(pairs, version)))
        points = proposed_points(pairs)
        header = ("similarity", "target FMR", "cosine", "")
        rows: list[tuple[str, ...]] = [
            (
                f"{point.similarity:.2f}",
                f"{point.fmr:g}",
                f"{point.cosine:.3f}",
                "" if point.counted else "extrapolated",
            )
            for point in points
        ]
        self.stdout.write("\nProposed\n" + table(header, rows))
        self.stdout.write(f"calibration = {json.dumps(calibration_of(points))}")
        roc.write_text(roc_svg(pairs, f"version {version.version} ({version.network})"), encoding="utf-8")
        self.stdout.write(f"ROC curve: {roc}")

    def _pairs(self, directory: Path, version: int) -> tuple[Pairs, int, int]:
        vectors: list[NDArray[np.float32]] = []
        people = []
        for picture in described_faces(directory, best=True, version=version):
            person = Path(picture.name).parts[0]
            if picture.problem or person == picture.name:
                self.stderr.write(f"{picture.name}: {picture.problem or 'not in the folder of a person'}, skipped")
                continue
            vectors += picture.vectors
            people.append(person)
        if not vectors:
            raise ValueError(f"{directory} contains no faces in folders of people")
        return pairs_of(np.stack(vectors), people), len(people), len(set(people))


def _rates(pairs: Pairs, version: DescriptorVersion) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for similarity in SIMILARITIES:
        cosine = version.calibration.cosine(similarity)
        fmr = pairs.fmr(cosine)
        count = round(fmr * len(pairs.impostor))
        rows.append((f"{similarity:.2f}", f"{cosine:.3f}", f"{fmr:.4f}", f"{count}", f"{pairs.fnmr(cosine):.4f}"))
    return rows
