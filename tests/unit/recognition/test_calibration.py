"""Calibration on constructed cosines whose rates are known, and the command on a small folder of people."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.common.descriptors import Calibration, DescriptorVersion, Kind, versions
from apps.recognition.calibration import (
    Pairs,
    bounds,
    calibration_of,
    false_alarms,
    pairs_of,
    proposed_points,
    roc_points,
    roc_svg,
    stated_fmr,
)
from apps.recognition.management.commands import calibrate
from tests.unit.recognition.pictures import astronaut, encoded, samples


def normal(mean: float, count: int, seed: int, spread: float = 0.1) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).normal(mean, spread, count))


@pytest.fixture
def pairs() -> Pairs:
    """100,000 pairs of two people around .1, 1,000 of one around .7."""
    return Pairs(normal(0.7, 1000, 1), normal(0.1, 100_000, 2))


def test_rates_are_shares_of_pairs() -> None:
    few = Pairs(np.array([0.4, 0.6, 0.8]), np.array([0.1, 0.2, 0.5, 0.7]))
    assert few.fmr(0.5) == 0.5
    assert few.fmr(0.71) == 0
    assert few.fnmr(0.6) == pytest.approx(1 / 3)
    assert few.auc == pytest.approx((2 + 3 + 4) / 12)


def test_ties_count_half() -> None:
    assert Pairs(np.array([0.5]), np.array([0.5])).auc == 0.5


def test_counted_points_have_the_rate_that_they_aim_at(pairs: Pairs) -> None:
    points = proposed_points(pairs)
    assert [point.similarity for point in points] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert all(point.counted for point in points)
    for point in points:
        assert pairs.fmr(point.cosine) == pytest.approx(point.fmr, rel=0.15)
    # Of the normal distribution: .1 + 3.09 · .1 is reached by one in 1,000.
    assert points[3].cosine == pytest.approx(0.409, abs=0.005)


def test_what_few_pairs_cannot_show_is_extrapolated_upwards() -> None:
    few = Pairs(normal(0.7, 50, 1), normal(0.1, 1000, 3))
    points = proposed_points(few)
    assert [point.counted for point in points] == [True, True, True, False, False]
    cosines = [point.cosine for point in points]
    assert cosines == sorted(cosines)
    assert 0.38 < cosines[3] < 0.55


def test_a_proposal_is_a_valid_calibration(pairs: Pairs) -> None:
    rows = calibration_of(proposed_points(pairs))
    calibration = Calibration(tuple((cosine, similarity) for cosine, similarity in rows))
    assert calibration.similarity(0.409) == pytest.approx(0.8, abs=0.01)
    one = Pairs(np.array([0.9]), np.array([0.2]))
    Calibration(tuple((cosine, similarity) for cosine, similarity in calibration_of(proposed_points(one))))


def test_pairs_need_two_people_and_one_of_them_twice() -> None:
    vectors = np.eye(3, dtype=np.float32)
    found = pairs_of(vectors, ["a", "a", "b"])
    assert (len(found.genuine), len(found.impostor)) == (1, 2)
    for people in (["a", "a", "a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="two people"):
            pairs_of(vectors, people)


def test_the_curve_rises_to_one_and_is_drawn(pairs: Pairs) -> None:
    few = Pairs(pairs.genuine[::50], pairs.impostor[::500])
    curve = roc_points(few)
    assert curve == sorted(curve)
    assert curve[-1] == (1.0, 1.0)
    root = ET.fromstring(roc_svg(few, "version 1"))  # noqa: S314 - made above
    drawn = root.find("{*}polyline").attrib["points"].split()
    assert len(drawn) == len(curve)
    assert drawn[-1] == "460.0,60.0"  # top right


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Folder with one woman (also darkened), three other people, a picture without face and one without person."""
    woman = astronaut()
    pictures = {
        "her/one.png": woman, "her/darker.png": (woman * 0.7).astype(np.uint8), "her/near.png": woman[:300, 80:380],
        "nobody/grey.png": np.full((64, 64, 3), 90, np.uint8), "loose.png": woman,
    }  # fmt: skip
    for name, pixels in pictures.items():
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels))
    for number in (0, 1, 3):
        folder = tmp_path / "people" / f"person-{number}"
        folder.mkdir()
        (folder / "one.jpg").write_bytes(samples()[number])
    return tmp_path / "people"


def test_the_command_measures_a_folder(people: Path, tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    call_command("calibrate", people, roc=tmp_path / "curve.svg", stdout=out, stderr=err)
    lines = out.getvalue().splitlines()
    version = versions.default("face")
    assert lines[0].startswith(f"version {version.version} ({version.network}): 6 faces of 4 people, 3 genuine pairs")
    assert lines[0].endswith("12 impostor pairs, AUC 1.0000")
    row = next(line.split() for line in lines if line.startswith("0.80"))
    assert row[:4] == ["0.80", f"{version.calibration.cosine(0.8):.3f}", "0.0000", "0"]
    assert row[4:] == ["0.0000–0.2425", "0.000", "0.0000–1.0000", "0.0000", "0.0000–0.5615"]
    assert any(line.startswith("No calibration is proposed: 12 impostor pairs") for line in lines)
    assert not any(line.startswith("calibration =") for line in lines)
    assert "grey.png: no face, skipped" in err.getvalue()
    assert "loose.png: not in the folder of a person" in err.getvalue()
    assert (tmp_path / "curve.svg").read_text().startswith("<svg")


def test_enough_pairs_carry_a_calibration(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrate, "FEWEST_IMPOSTORS", 12)
    out = io.StringIO()
    call_command("calibrate", people, roc=tmp_path / "curve.svg", stdout=out, stderr=io.StringIO())
    assert any(line.startswith("calibration = [[-1.0, 0.0]") for line in out.getvalue().splitlines())


def test_rates_of_groups(people: Path, tmp_path: Path) -> None:
    """Only people of one group are compared."""
    for group, names in (("first", ("her", "person-0")), ("second", ("person-1", "person-3"))):
        for name in names:
            (tmp_path / "groups" / group).mkdir(parents=True, exist_ok=True)
            (people / name).rename(tmp_path / "groups" / group / name)
    out = io.StringIO()
    call_command(
        "calibrate", tmp_path / "groups", groups=True, candidates=50, roc=tmp_path / "curve.svg", stdout=out,
        stderr=io.StringIO(),
    )  # fmt: skip
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["first", "2", "3", "0.0000"] in [line[:4] for line in lines]
    assert ["second", "2", "1", "0.0000"] in [line[:4] for line in lines]
    assert "FPIR of 50" in out.getvalue()


def test_a_list_of_no_candidates_is_refused(people: Path) -> None:
    with pytest.raises(CommandError, match="--candidates must be 1 or more, got 0"):
        call_command("calibrate", people, candidates=0)


def test_the_bounds_hold_the_rate_and_narrow_with_pairs() -> None:
    assert bounds(0, 1000) == (0.0, pytest.approx(0.00383, abs=1e-4))
    assert bounds(1000, 1000) == (pytest.approx(0.99617, abs=1e-4), 1.0)
    low, high = bounds(5, 1000)
    assert low < 0.005 < high
    assert bounds(500, 100_000)[0] > low


@pytest.mark.parametrize(
    ("fmr", "candidates", "expected"), [(0.001, 1, 0.001), (0.001, 1000, 0.632), (0, 9, 0), (1, 2, 1)]
)
def test_false_candidates_add_up_over_a_list(fmr: float, candidates: int, expected: float) -> None:
    assert false_alarms(fmr, candidates) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("version", "message"), [(None, "contains no faces"), (4, "4")], ids=["empty folder", "unknown version"]
)
def test_what_cannot_be_measured_is_told(tmp_path: Path, version: int | None, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("calibrate", tmp_path, descriptor_version=version, roc=tmp_path / "curve.svg")
    assert not (tmp_path / "curve.svg").exists()


@pytest.mark.parametrize(
    ("kind", "similarity", "expected"),
    [
        ("face", 0.8, 1e-3),
        ("face", 0.9, 1e-4),
        ("face", 0.85, 10**-3.5),
        ("face", 0.5, None),  # the calibration has .8 and .9 only
        ("face", 0.95, None),
        ("body", 0.8, None),
    ],
)
def test_stated_rate_of_false_matches(kind: Kind, similarity: float, expected: float | None) -> None:
    calibration = Calibration(((-1.0, 0.0), (0.45, 0.8), (0.53, 0.9), (1.0, 1.0)))
    version = DescriptorVersion(9733, kind, "test", 4, "float32-le", calibration)
    assert stated_fmr(version, similarity) == (None if expected is None else pytest.approx(expected))
