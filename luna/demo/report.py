"""The report of the demo: annotated pictures, one notification as JSON, and an HTML page that shows all results."""

import base64
import json
import statistics
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string

from luna.demo.pictures import ENROLLED, KNOWN, UNKNOWN, Mark, annotated, jpeg
from luna.demo.scenario import RECOGNISED_SIMILARITY, MatchedFace, Outcome, Person

SEX = {0: "female", 1: "male", None: ""}


def write_report(outcome: Outcome, folder: Path, problems: list[str] | None) -> Path:
    """Write the report into `folder` and return the path of its HTML page, which needs no other file.

    `problems` is None when the expected result is unknown (the operator's own photographs).
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for photograph, marks in _marks(outcome).items():
        data = jpeg(annotated(photograph, marks))
        (folder / f"{photograph.stem}.annotated.jpg").write_bytes(data)
        pictures.append({"name": photograph.name, "data": _base64(data)})
    message = _example_message(outcome)
    (folder / "event.json").write_text(message + "\n", encoding="utf-8")
    page = folder / "report.html"
    page.write_text(
        render_to_string("demo/report.html", _context(outcome, pictures, message, problems)), encoding="utf-8"
    )
    return page


def _context(
    outcome: Outcome, pictures: list[dict[str, str]], message: str, problems: list[str] | None
) -> dict[str, Any]:
    total_ms = sum(elapsed_ms for _, elapsed_ms, _ in outcome.steps)
    return {
        "problems": problems,
        "threshold": RECOGNISED_SIMILARITY,
        "people": [{"person": person, "data": _base64(person.sample)} for person in outcome.people],
        "matched_faces": [_row(outcome, face) for face in outcome.matched_faces],
        "recognised": len(outcome.recognised),
        "pictures": pictures,
        "message": message,
        "steps": [
            {"name": name, "ms": f"{elapsed_ms:,.0f}", "share": f"{100 * elapsed_ms / total_ms:.1f}"}
            for name, elapsed_ms, _ in outcome.steps
        ],
        "total_s": f"{total_ms / 1000:.1f}",
        "websocket": websocket_sentence(outcome),
    }


def _row(outcome: Outcome, face: MatchedFace) -> dict[str, Any]:
    return {
        "face": face,
        "data": _base64(face.sample),
        "candidate": _base64(outcome.person(face.name).sample) if face.name else None,
        "similarity": f"{face.similarity:.3f}" if face.similarity is not None else "—",
        "percent": round(100 * (face.similarity or 0)),
        "looks": looks(face),
    }


def looks(face: MatchedFace) -> str:
    """Return sex and age as far as they are known, such as `female, 27`."""
    return ", ".join(part for part in (SEX[face.gender], str(face.age or "")) if part)


def websocket_sentence(outcome: Outcome) -> str:
    """Return one clause about the delay between the HTTP response and the notification of an event."""
    delays_ms = outcome.websocket_delay_ms()
    if not delays_ms:
        return "no event was generated"
    median = statistics.median(delays_ms)
    order = "after" if median > 0 else "before"
    return f"{len(delays_ms)} events arrived, {abs(median):.1f} ms {order} the response (median)"


def _example_message(outcome: Outcome) -> str:
    """Return as JSON the notification of the first recognised face; if there is none, the first notification."""
    wanted = outcome.recognised[0].event_id if outcome.recognised else None
    messages = [arrival.message for arrival in outcome.arrivals]
    chosen = [message for message in messages if message["event"]["event_id"] == wanted] or messages[:1]
    return json.dumps(chosen[0] if chosen else None, indent=2, ensure_ascii=False)


def _marks(outcome: Outcome) -> dict[Path, list[Mark]]:
    marks: dict[Path, list[Mark]] = {}
    found: list[tuple[Person | MatchedFace, str, str]] = [(person, person.name, ENROLLED) for person in outcome.people]
    found += [
        (face, f"{face.name} {face.similarity:.3f}", KNOWN) if face.recognised
        else (face, "unknown", UNKNOWN)
        for face in outcome.matched_faces
    ]  # fmt: skip
    for face, text, colour in found:
        marks.setdefault(face.photograph, []).append(Mark(face.box, face.landmarks, text, colour))
    return marks


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
