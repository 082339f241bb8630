"""The demo's verdict, pictures and report, without a platform."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from luna.demo.client import Api, Arrival, DemoError
from luna.demo.pictures import KNOWN, Mark, annotated, jpeg
from luna.demo.report import write_report
from luna.demo.scenario import Box, Expected, MatchedFace, Outcome, Person, find_problems

POINTS = [[30.0, 40.0], [60.0, 40.0], [45.0, 55.0], [35.0, 70.0], [55.0, 70.0]]
EXPECTED = Expected(enrolled_in="a.jpg", enrolled_at=(45, 45), seen_in="b.jpg", seen_at=(145, 45))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (300, 200), "grey").save(tmp_path / name)
    return tmp_path


@pytest.fixture
def outcome(folder: Path) -> Outcome:
    """One person of a.jpg who was recognised in b.jpg, beside a stranger."""
    sample = jpeg(Image.new("RGB", (250, 250), "teal"))
    her = Person("person-1", folder / "a.jpg", Box(20, 20, 60, 70), POINTS, sample)
    other = Person("<script>", folder / "a.jpg", Box(200, 20, 60, 70), POINTS, sample)
    seen = MatchedFace(folder / "b.jpg", Box(120, 20, 60, 70), POINTS, "e1", sample, 27, 0, "person-1", 0.95, True)
    stranger = replace(seen, box=Box(10, 20, 60, 70), event_id="e2", name="<script>", similarity=0.4, recognised=False)
    message = {"event": {"event_id": "e1", "source": "</pre>"}}
    return Outcome(
        people=[her, other],
        matched_faces=[seen, stranger],
        arrivals=[Arrival(message, 2.0)],
        steps=[("recognise", 100.0, 1)],
        event_made_s={"e1": 1.99},
    )


def test_the_right_person_alone_is_right(outcome: Outcome) -> None:
    assert find_problems(outcome, EXPECTED) == []


def test_nobody_recognised_is_wrong(outcome: Outcome) -> None:
    outcome.matched_faces[0] = replace(outcome.matched_faces[0], recognised=False)

    assert find_problems(outcome, EXPECTED) == ["the person of a.jpg was not recognised in b.jpg"]


def test_a_stranger_beside_her_is_wrong(outcome: Outcome) -> None:
    outcome.matched_faces[1] = replace(outcome.matched_faces[1], recognised=True)

    assert find_problems(outcome, EXPECTED) == ["a face in b.jpg was wrongly recognised as <script>"]


@pytest.mark.parametrize("change", [{"name": "<script>"}, {"box": Box(0, 0, 20, 20)}])
def test_another_face_of_the_same_photographs_is_wrong(outcome: Outcome, change: dict[str, Any]) -> None:
    outcome.matched_faces[0] = replace(outcome.matched_faces[0], **change)

    assert len(find_problems(outcome, EXPECTED)) == 2


def test_a_mark_is_drawn_where_the_face_is(folder: Path) -> None:
    plain = np.asarray(annotated(folder / "a.jpg", []))
    marked = np.asarray(annotated(folder / "a.jpg", [Mark(Box(20, 20, 60, 70), POINTS, "person-1", KNOWN)]))
    rows, columns = np.nonzero((plain != marked).any(axis=2))

    assert marked.shape == (200, 300, 3)
    assert rows.min() == 20
    assert columns.min() >= 10
    assert tuple(marked[20, 50]) == (0x19, 0xC3, 0x7D)  # the box's upper edge
    assert tuple(marked[40, 30]) == (0x19, 0xC3, 0x7D)  # the first landmark
    assert tuple(marked[150, 250]) == tuple(plain[150, 250])


def test_a_large_picture_is_scaled_and_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # sideways
    Image.new("RGB", (3000, 2000)).save(tmp_path / "a.jpg", exif=exif)

    assert annotated(tmp_path / "a.jpg", []).size == (1280, 1920)


def test_the_report_needs_no_other_file(outcome: Outcome, tmp_path: Path) -> None:
    page = write_report(outcome, tmp_path / "out", problems=[])
    text = page.read_text(encoding="utf-8")

    assert sorted(path.name for path in page.parent.iterdir()) == [
        "a.annotated.jpg",
        "b.annotated.jpg",
        "event.json",
        "report.html",
    ]
    assert all(source.startswith("data:image/jpeg;base64,") for source in re.findall(r'(?:src|href)="([^"]*)', text))
    assert "<script>" not in text
    assert "</pre>&quot;" not in text
    assert "was recognised, and no other face" in text
    assert "10.0 ms after the response" in text


def test_problems_are_in_the_report(outcome: Outcome, tmp_path: Path) -> None:
    text = write_report(outcome, tmp_path / "out", problems=["a stranger was recognised"]).read_text(encoding="utf-8")

    assert "a stranger was recognised" in text
    assert "no other face" not in text


def test_a_platform_that_is_not_there_is_said() -> None:
    with pytest.raises(DemoError, match="make up"):
        Api("http://127.0.0.1:1").call("GET", "/version")
