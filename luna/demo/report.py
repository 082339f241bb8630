"""Writes what happened into a folder: annotated pictures, the event as it arrived, and one HTML page with all of it."""

import base64
import json
import statistics
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from luna.demo.pictures import ENROLLED, KNOWN, UNKNOWN, Mark, annotated, jpeg
from luna.demo.story import RECOGNISED_SIMILARITY, Person, Sighting, Story

SEX = {0: "female", 1: "male", None: ""}


def write_report(story: Story, folder: Path, problems: list[str] | None) -> Path:
    """Everything into `folder`; the path of the page, which needs no other file.

    `problems` is None where no particular result was expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for photograph, marks in _marks(story).items():
        data = jpeg(annotated(photograph, marks))
        (folder / f"{photograph.stem}.annotated.jpg").write_bytes(data)
        pictures.append({"name": photograph.name, "data": _base64(data)})
    message = _telling_message(story)
    (folder / "event.json").write_text(message + "\n", encoding="utf-8")
    page = folder / "report.html"
    page.write_text(
        render_to_string("demo/report.html", _context(story, pictures, message, problems)), encoding="utf-8"
    )
    return page


def _context(story: Story, pictures: list[dict[str, str]], message: str, problems: list[str] | None) -> dict[str, Any]:
    total_ms = sum(elapsed_ms for _, elapsed_ms, _ in story.stages)
    return {
        "problems": problems,
        "threshold": RECOGNISED_SIMILARITY,
        "people": [{"person": person, "data": _base64(person.sample)} for person in story.people],
        "sightings": [_row(story, sighting) for sighting in story.sightings],
        "recognised": len(story.recognised),
        "pictures": pictures,
        "message": message,
        "stages": [
            {"name": name, "ms": f"{elapsed_ms:,.0f}", "share": f"{100 * elapsed_ms / total_ms:.1f}"}
            for name, elapsed_ms, _ in story.stages
        ],
        "total_s": f"{total_ms / 1000:.1f}",
        "websocket": websocket_sentence(story),
    }


def _row(story: Story, sighting: Sighting) -> dict[str, Any]:
    return {
        "sighting": sighting,
        "data": _base64(sighting.sample),
        "candidate": _base64(story.person(sighting.name).sample) if sighting.name else None,
        "similarity": f"{sighting.similarity:.3f}" if sighting.similarity is not None else "—",
        "percent": round(100 * (sighting.similarity or 0)),
        "looks": looks(sighting),
    }


def looks(sighting: Sighting) -> str:
    """`female, 27`, as far as it is known."""
    return ", ".join(part for part in (SEX[sighting.gender], str(sighting.age or "")) if part)


def websocket_sentence(story: Story) -> str:
    """How the websocket's messages lie in time beside the answers of the requests that made them."""
    leads = story.websocket_lead_ms()
    if not leads:
        return "no event was made"
    median = statistics.median(leads)
    return (
        f"{len(leads)} events arrived, {abs(median):.1f} ms {'after' if median > 0 else 'before'} the answer (median)"
    )


def _telling_message(story: Story) -> str:
    """The message of the first recognised person, else the first message."""
    wanted = story.recognised[0].event_id if story.recognised else None
    messages = [arrival.message for arrival in story.arrivals]
    chosen = [message for message in messages if message["event"]["event_id"] == wanted] or messages[:1]
    return json.dumps(chosen[0] if chosen else None, indent=2, ensure_ascii=False)


def _marks(story: Story) -> dict[Path, list[Mark]]:
    marks: dict[Path, list[Mark]] = {}
    found: list[tuple[Person | Sighting, str, str]] = [(person, person.name, ENROLLED) for person in story.people]
    found += [
        (sighting, f"{sighting.name} {sighting.similarity:.3f}", KNOWN) if sighting.recognised
        else (sighting, "unknown", UNKNOWN)
        for sighting in story.sightings
    ]  # fmt: skip
    for face, text, colour in found:
        marks.setdefault(face.photograph, []).append(Mark(face.box, face.landmarks, text, colour))
    return marks


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
