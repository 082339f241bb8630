"""The scenario of the demo: enrol people from some photographs, recognise them in others."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from luna.demo.client import Api, Arrival, DemoError, Listener, RefusedError

RECOGNISED_SIMILARITY = 0.90  # about one false match in 10,000 comparisons
TAG = "recognised"
LABEL = "guests"
Write = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright photograph."""

    x: int
    y: int
    width: int
    height: int

    def holds(self, point: tuple[int, int]) -> bool:
        return self.x <= point[0] < self.x + self.width and self.y <= point[1] < self.y + self.height


@dataclass(frozen=True, slots=True)
class Person:
    """An enrolled person, with the detection that was enrolled."""

    name: str
    photograph: Path
    box: Box
    landmarks: list[list[float]]
    sample: bytes


@dataclass(frozen=True, slots=True)
class MatchedFace:
    """A face of a searched photograph, with the name and similarity of its best candidate."""

    photograph: Path
    box: Box
    landmarks: list[list[float]]
    event_id: str
    sample: bytes
    age: int | None
    gender: int | None
    name: str | None
    similarity: float | None
    recognised: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """The expected match: a point inside the same person's face in each of two photographs, in pixels."""

    enrolled_in: str
    enrolled_at: tuple[int, int]
    seen_in: str
    seen_at: tuple[int, int]


@dataclass
class Outcome:
    """The results of the steps that have run."""

    people: list[Person] = field(default_factory=list)
    matched_faces: list[MatchedFace] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    steps: list[tuple[str, float, int]] = field(default_factory=list)  # name, total milliseconds, repetitions
    event_made_s: dict[str, float] = field(default_factory=dict)  # event id → time of the HTTP response
    account: dict[str, str] = field(default_factory=dict)

    @property
    def recognised(self) -> list[MatchedFace]:
        return [face for face in self.matched_faces if face.recognised]

    def person(self, name: str) -> Person:
        return next(person for person in self.people if person.name == name)

    def websocket_delay_ms(self) -> list[float]:
        """Return per event the delay of its notification after the HTTP response; negative means before."""
        return [
            (arrival.time_s - self.event_made_s[arrival.message["event"]["event_id"]]) * 1000
            for arrival in self.arrivals
        ]


class Scenario:
    """Runs the steps against a platform, and writes a line about each."""

    def __init__(self, api: Api, write: Write) -> None:
        self.api = api
        self.write = write
        self.outcome = Outcome()

    @contextmanager
    def _step(self, name: str, times: int = 1) -> Iterator[None]:
        started = time.perf_counter()
        yield
        elapsed_ms = (time.perf_counter() - started) * 1000
        self.outcome.steps.append((name, elapsed_ms, times))
        each = f", {elapsed_ms / times:,.0f} ms each" if times > 1 else ""
        self.write(f"  {name:<62}{elapsed_ms:>7,.0f} ms{each}")

    @contextmanager
    def _refusal_shown(self) -> Iterator[None]:
        """Continue with the next photograph when the platform rejects one."""
        try:
            yield
        except RefusedError as refusal:
            self.write(f"  {refusal}")

    def run(self, enrol: Sequence[Path], recognise: Sequence[Path]) -> Outcome:
        """Run all steps. Raises DemoError when one fails or no face could be enrolled."""
        self._register()
        with self._step("make a list"):
            list_id = self.api.call("POST", "/6/lists", json={"user_data": LABEL})["list_id"]
        for photograph in enrol:
            with self._refusal_shown():
                self._enrol(photograph, list_id)
        if not self.outcome.people:
            raise DemoError("No face was found in the photographs to enrol.")
        with self._step("make a handler that searches for these people"):
            handler = {"description": "demo", "policies": policies(list_id)}
            handler_id = self.api.call("POST", "/6/handlers", json=handler)["handler_id"]
        listener = Listener(self.api.url, self.api.authorization)
        with self._step("open the websocket"):
            listener.open()
        try:
            for photograph in recognise:
                with self._refusal_shown():
                    self._recognise(photograph, handler_id)
            with self._step("wait for the last event on the websocket"):
                listener.wait_for(len(self.outcome.matched_faces))
        finally:
            listener.close()
        self.outcome.arrivals = listener.arrivals
        return self.outcome

    def _register(self) -> None:
        login, password = f"demo-{uuid4().hex[:12]}@luna.demo", secrets.token_urlsafe(18)
        with self._step("register an account"):
            body = {"login": login, "password": password, "account_type": "user", "description": "demo"}
            account_id = self.api.call("POST", "/6/accounts", json=body)["account_id"]
        self.api.log_in(login, password)
        self.outcome.account = {"account_id": account_id, "login": login, "password": password}

    def remove_account(self) -> None:
        """Remove the demo's account and all its data."""
        if self.outcome.account:
            with self._step("remove the account and all its data"):
                self.api.call("DELETE", "/6/account")

    def _enrol(self, photograph: Path, list_id: str) -> None:
        with self._step(f"{photograph.name}: find faces (detector)"):
            image = self.api.call("POST", "/6/detector", **_image(photograph))["images"][0]
        found = [sample["face"] for sample in image["detections"]["samples"]] if image["status"] else []
        if not found:
            self.write(f"    {image['error']['detail'] if not image['status'] else 'no face'}: nothing to enrol")
            return
        found.sort(key=lambda face: face["detection"]["rect"]["x"])
        with self._step(f"{photograph.name}: extract {len(found)} face{'s' * (len(found) > 1)} (extractor)"):
            samples = [face["sample_id"] for face in found]
            query = {"extract_descriptor": 1, "extract_basic_attributes": 1}
            attributes = self.api.call("POST", "/6/extractor", params=query, json=samples)
        by_sample = {attribute["samples"][0]: attribute["attribute_id"] for attribute in attributes}
        with self._step(f"{photograph.name}: enrol them into the list", len(found)):
            for face in found:
                name = f"person-{len(self.outcome.people) + 1}"
                body = {
                    "user_data": name,
                    "avatar": f"/6/samples/faces/{face['sample_id']}",
                    "attribute": {"attribute_id": by_sample[face["sample_id"]]},
                    "lists": [list_id],
                }
                self.api.call("POST", "/6/faces", json=body)
                detection = face["detection"]
                self.outcome.people.append(
                    Person(
                        name,
                        photograph,
                        Box(**detection["rect"]),
                        detection["landmarks5"],
                        self._sample(face["sample_id"]),
                    )
                )

    def _recognise(self, photograph: Path, handler_id: str) -> None:
        with self._step(f"{photograph.name}: recognise (handler)"):
            path = f"/6/handlers/{handler_id}/events"
            answer = self.api.call("POST", path, params={"source": photograph.name[:128]}, **_image(photograph))
        answered_s = time.perf_counter()
        image = answer["images"][0]
        if not image["status"]:
            self.write(f"    {image['error']['detail']}")
        for event in answer["events"]:
            self.outcome.event_made_s[event["event_id"]] = answered_s
            face = self._matched_face(photograph, event)
            self.outcome.matched_faces.append(face)
            if face.recognised:
                self.write(f"    {face.name} is here, similarity {face.similarity:.3f}")

    def _matched_face(self, photograph: Path, event: dict[str, Any]) -> MatchedFace:
        face = event["detections"][0]["samples"]["face"]
        candidates = [candidate for match in event["matches"] or () for candidate in match["candidates"]]
        best = max(candidates, key=lambda candidate: candidate["similarity"], default=None)
        basic = (event.get("face_attributes") or {}).get("basic_attributes") or {}
        return MatchedFace(
            photograph=photograph,
            box=Box(**face["detection"]["rect"]),
            landmarks=face["detection"]["landmarks5"],
            event_id=event["event_id"],
            sample=self._sample(face["sample_id"]),
            age=basic.get("age"),
            gender=basic.get("gender"),
            name=best and best["face"]["user_data"],
            similarity=best and best["similarity"],
            recognised=TAG in event["tags"],
        )

    def _sample(self, sample_id: str) -> bytes:
        data: bytes = self.api.call("GET", f"/6/samples/faces/{sample_id}")
        return data


def policies(list_id: str) -> dict[str, Any]:
    """Return policies that match every face with the list, tag recognised ones, store events and notify."""
    known = {"match": [{"label": LABEL, "similarity__gte": RECOGNISED_SIMILARITY}]}
    return {
        "detect_policy": {"multiface_policy": 1},
        "extract_policy": {"extract_face_descriptor": 1, "extract_basic_attributes": 1},
        "match_policy": [{"label": LABEL, "candidates": {"origin": "faces", "list_id": list_id}, "limit": 3}],
        "conditional_tags_policy": [{"tag": TAG, "filters": known}],
        "storage_policy": {"event_policy": {"store_event": 1}, "notification_policy": {"send_notification": 1}},
    }


CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".ppm": "image/x-portable-pixmap",
}


def _image(photograph: Path) -> dict[str, Any]:
    return {
        "content": photograph.read_bytes(),
        "headers": {"Content-Type": CONTENT_TYPES[photograph.suffix.lower()]},
    }


def find_problems(outcome: Outcome, expected: Expected) -> list[str]:
    """Compare the recognised faces with the expected match; return one sentence per difference."""
    problems = []
    right = False
    for face in outcome.recognised:
        person = outcome.person(face.name or "")
        is_right = (
            (person.photograph.name, face.photograph.name) == (expected.enrolled_in, expected.seen_in)
            and person.box.holds(expected.enrolled_at)
            and face.box.holds(expected.seen_at)
        )
        right = right or is_right
        if not is_right:
            problems.append(f"a face in {face.photograph.name} was wrongly recognised as {person.name}")
    if not right:
        problems.append(f"the person of {expected.enrolled_in} was not recognised in {expected.seen_in}")
    return problems
