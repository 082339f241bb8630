"""`manage.py calibrate DIR`: error rates, calibration and ROC curve of a descriptor version on own pictures."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from numpy.typing import NDArray

from apps.common.config import Directories, config
from apps.common.descriptors import DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.recognition.calibration import (
    FEWEST_IMPOSTORS,
    Pairs,
    bounds,
    calibration_of,
    false_alarms,
    impostors_of,
    pairs_of,
    proposed_points,
    roc_svg,
)
from apps.recognition.folders import described_faces
from apps.recognition.networks.report import table

GROUP_SIMILARITIES = (0.8, 0.9)
GROUP_HEADER = ("group", "people", "impostor pairs", "FMR at 0.80", "95 %", "FMR at 0.90", "95 %")
SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


class Command(BaseCommand):
    help = "Measures the error rates of a descriptor version on a folder with one sub-folder of pictures per person."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("directory", type=Path)
        parser.add_argument("--descriptor-version", type=int, help="default: the version of new descriptors")
        parser.add_argument(
            "--candidates",
            type=int,
            default=1000,
            metavar="N",
            help="number of candidates in a searched list; default: 1000",
        )
        parser.add_argument(
            "--groups", action="store_true", help="first-level folders are groups, second-level folders people"
        )
        parser.add_argument(
            "--roc",
            type=Path,
            default=config(Directories).var / "calibration" / "roc.svg",
            metavar="FILE.svg",
            help="default: %(default)s",
        )

    def handle(
        self, *, directory: Path, descriptor_version: int | None, candidates: int, groups: bool, roc: Path,
        **options: object,
    ) -> None:  # fmt: skip
        if candidates < 1:
            raise CommandError(f"--candidates must be 1 or more, got {candidates}.")
        try:
            version = versions.get(descriptor_version) if descriptor_version else versions.default("face")
            vectors, people = self._faces(directory, version.version, levels=2 if groups else 1)
            pairs = pairs_of(vectors, people)
        except (LunaError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"version {version.version} ({version.network}): {len(people)} faces of {len(set(people))} people, "
            f"{len(pairs.genuine)} genuine pairs, {len(pairs.impostor)} impostor pairs, AUC {pairs.auc:.4f}"
        )
        header = ("similarity", "cosine", "FMR", "pairs", "95 %", f"FPIR of {candidates:,}", "95 %", "FNMR", "95 %")
        self.stdout.write(table(header, _rates(pairs, version, candidates)))
        if groups:
            self.stdout.write("\n" + table(GROUP_HEADER, _group_rates(vectors, people, version)))
        self._propose(pairs)
        roc.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        roc.write_text(roc_svg(pairs, f"version {version.version} ({version.network})"), encoding="utf-8")
        self.stdout.write(f"ROC curve: {roc}")

    def _propose(self, pairs: Pairs) -> None:
        if len(pairs.impostor) < FEWEST_IMPOSTORS:
            self.stdout.write(
                f"\nNo calibration is proposed: {len(pairs.impostor)} impostor pairs are fewer than "
                f"{FEWEST_IMPOSTORS:,} (46 people with one picture each)."
            )
            return
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

    def _faces(self, directory: Path, version: int, *, levels: int) -> tuple[NDArray[np.float32], list[str]]:
        """Return unit vectors [N, dimension] and the person of each: the folder at depth `levels`."""
        vectors: list[NDArray[np.float32]] = []
        people = []
        for picture in described_faces(directory, best=True, version=version):
            parts = Path(picture.name).parts
            if picture.problem or len(parts) <= levels:
                self.stderr.write(f"{picture.name}: {picture.problem or 'not in the folder of a person'}, skipped")
                continue
            vectors += picture.vectors
            people.append("/".join(parts[:levels]))
        if not vectors:
            raise ValueError(f"{directory} contains no faces in folders of people")
        return np.stack(vectors), people


def _rates(pairs: Pairs, version: DescriptorVersion, candidates: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for similarity in SIMILARITIES:
        cosine = version.calibration.cosine(similarity)
        fmr, fnmr = pairs.fmr(cosine), pairs.fnmr(cosine)
        count = round(fmr * len(pairs.impostor))
        bound = bounds(count, len(pairs.impostor))
        rows.append(
            (
                f"{similarity:.2f}",
                f"{cosine:.3f}",
                f"{fmr:.4f}",
                f"{count}",
                _span(*bound),
                f"{false_alarms(fmr, candidates):.3f}",
                _span(*(false_alarms(each, candidates) for each in bound)),
                f"{fnmr:.4f}",
                _span(*bounds(round(fnmr * len(pairs.genuine)), len(pairs.genuine))),
            )
        )
    return rows


def _group_rates(
    vectors: NDArray[np.float32], people: Sequence[str], version: DescriptorVersion
) -> list[tuple[str, ...]]:
    """Return the false match rates between people of one group, a row per group."""
    rows: list[tuple[str, ...]] = []
    groups = np.array([person.split("/")[0] for person in people])
    for group in np.unique(groups):
        of_group = np.flatnonzero(groups == group).tolist()
        cosines = impostors_of(vectors[of_group], [people[index] for index in of_group])
        row = [str(group), str(len({people[index] for index in of_group})), str(len(cosines))]
        for similarity in GROUP_SIMILARITIES:
            count = int((cosines >= version.calibration.cosine(similarity)).sum())
            shown = (f"{count / len(cosines):.4f}", _span(*bounds(count, len(cosines)))) if len(cosines) else ("–", "–")
            row += shown
        rows.append(tuple(row))
    return rows


def _span(low: float, high: float) -> str:
    return f"{low:.4f}–{high:.4f}"
