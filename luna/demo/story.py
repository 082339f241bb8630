"""What the demo does: enrol people from some photographs, recognise them in others."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from luna.demo.client import Api, Arrival, DemoError, Listener, RefusedError

RECOGNISED_SIMILARITY = 0.85  # 0.80: one false match in 1,000 comparisons, 0.90: in 10,000
TAG = "recognised"
LABEL = "guests"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels of the upright photograph."""

    x: int
    y: int
    width: int
    height: int

    def holds(self, point: tuple[int, int]) -> bool:
        return self.x <= point[0] < self.x + self.width and self.y <= point[1] < self.y + self.height


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was enrolled."""

    name: str
    photograph: Path
    box: Box
    landmarks: list[list[float]]
    sample: bytes


@dataclass(frozen=True, slots=True)
class Sighting:
    """A face in one of the other photographs, and who it resembles most."""

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
    """One person is in two photographs: where her face is in each, as a point of it in pixels."""

    enrolled_in: str
    enrolled_at: tuple[int, int]
    seen_in: str
    seen_at: tuple[int, int]


@dataclass
class Story:
    """What has happened so far."""

    people: list[Person] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    stages: list[tuple[str, float, int]] = field(default_factory=list)  # what, milliseconds in all, times
    event_made_s: dict[str, float] = field(default_factory=dict)  # event id to the time of its answer
    account: dict[str, str] = field(default_factory=dict)

    @property
    def recognised(self) -> list[Sighting]:
        return [sighting for sighting in self.sightings if sighting.recognised]

    def person(self, name: str) -> Person:
        return next(person for person in self.people if person.name == name)

    def websocket_lead_ms(self) -> list[float]:
        """For every event: arrival on the websocket after the answer of the request that made it; below 0: before."""
        return [
            (arrival.time_s - self.event_made_s[arrival.message["event"]["event_id"]]) * 1000
            for arrival in self.arrivals
        ]


class Teller:
    """Walks through the story against a platform and says each step."""

    def __init__(self, api: Api, say: Say) -> None:
        self.api = api
        self.say = say
        self.story = Story()

    @contextmanager
    def _stage(self, name: str, times: int = 1) -> Iterator[None]:
        started = time.perf_counter()
        yield
        elapsed_ms = (time.perf_counter() - started) * 1000
        self.story.stages.append((name, elapsed_ms, times))
        each = f", {elapsed_ms / times:,.0f} ms each" if times > 1 else ""
        self.say(f"  {name:<62}{elapsed_ms:>7,.0f} ms{each}")

    @contextmanager
    def _refusal_said(self) -> Iterator[None]:
        """One photograph that the platform does not take is no reason to stop."""
        try:
            yield
        except RefusedError as refusal:
            self.say(f"  {refusal}")

    def tell(self, enrol: Sequence[Path], recognise: Sequence[Path]) -> Story:
        """Raises DemoError when the platform does not do its part."""
        self._register()
        with self._stage("make a list"):
            list_id = self.api.call("POST", "/6/lists", json={"user_data": LABEL})["list_id"]
        for photograph in enrol:
            with self._refusal_said():
                self._enrol(photograph, list_id)
        if not self.story.people:
            raise DemoError("no face was found in the photographs to enrol")
        with self._stage("make a handler that looks for these people"):
            handler = {"description": "demo", "policies": policies(list_id)}
            handler_id = self.api.call("POST", "/6/handlers", json=handler)["handler_id"]
        listener = Listener(self.api.url, self.api.authorization)
        with self._stage("open the websocket"):
            listener.open()
        try:
            for photograph in recognise:
                with self._refusal_said():
                    self._recognise(photograph, handler_id)
            with self._stage("wait for the last event on the websocket"):
                listener.wait_for(len(self.story.sightings))
        finally:
            listener.close()
        self.story.arrivals = listener.arrivals
        return self.story

    def _register(self) -> None:
        login, password = f"demo-{uuid4().hex[:12]}@luna.demo", secrets.token_urlsafe(18)
        with self._stage("register an account"):
            body = {"login": login, "password": password, "account_type": "user", "description": "demo"}
            account_id = self.api.call("POST", "/6/accounts", json=body)["account_id"]
        self.api.log_in(login, password)
        self.story.account = {"account_id": account_id, "login": login, "password": password}

    def forget(self) -> None:
        """Removes the account with everything that it holds."""
        if self.story.account:
            with self._stage("remove the account and all its data"):
                self.api.call("DELETE", "/6/account")

    def _enrol(self, photograph: Path, list_id: str) -> None:
        with self._stage(f"{photograph.name}: find faces (detector)"):
            image = self.api.call("POST", "/6/detector", **_image(photograph))["images"][0]
        found = [sample["face"] for sample in image["detections"]["samples"]] if image["status"] else []
        if not found:
            self.say(f"    {image['error']['detail'] if not image['status'] else 'no face'}: nobody to enrol")
            return
        found.sort(key=lambda face: face["detection"]["rect"]["x"])
        with self._stage(f"{photograph.name}: describe {len(found)} face{'s' * (len(found) > 1)} (extractor)"):
            samples = [face["sample_id"] for face in found]
            query = {"extract_descriptor": 1, "extract_basic_attributes": 1}
            attributes = self.api.call("POST", "/6/extractor", params=query, json=samples)
        by_sample = {attribute["samples"][0]: attribute["attribute_id"] for attribute in attributes}
        with self._stage(f"{photograph.name}: enrol them into the list", len(found)):
            for face in found:
                name = f"person-{len(self.story.people) + 1}"
                body = {
                    "user_data": name,
                    "avatar": f"/6/samples/faces/{face['sample_id']}",
                    "attribute": {"attribute_id": by_sample[face["sample_id"]]},
                    "lists": [list_id],
                }
                self.api.call("POST", "/6/faces", json=body)
                detection = face["detection"]
                self.story.people.append(
                    Person(
                        name,
                        photograph,
                        Box(**detection["rect"]),
                        detection["landmarks5"],
                        self._sample(face["sample_id"]),
                    )
                )

    def _recognise(self, photograph: Path, handler_id: str) -> None:
        with self._stage(f"{photograph.name}: recognise (handler)"):
            path = f"/6/handlers/{handler_id}/events"
            answer = self.api.call("POST", path, params={"source": photograph.name[:128]}, **_image(photograph))
        answered_s = time.perf_counter()
        image = answer["images"][0]
        if not image["status"]:
            self.say(f"    {image['error']['detail']}")
        for event in answer["events"]:
            self.story.event_made_s[event["event_id"]] = answered_s
            sighting = self._sighting(photograph, event)
            self.story.sightings.append(sighting)
            if sighting.recognised:
                self.say(f"    {sighting.name} is here, similarity {sighting.similarity:.3f}")

    def _sighting(self, photograph: Path, event: dict[str, Any]) -> Sighting:
        face = event["detections"][0]["samples"]["face"]
        candidates = [candidate for match in event["matches"] or () for candidate in match["candidates"]]
        best = max(candidates, key=lambda candidate: candidate["similarity"], default=None)
        basic = (event.get("face_attributes") or {}).get("basic_attributes") or {}
        return Sighting(
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
    """Detect and describe every face, match it with the list, tag and keep what was recognised, notify."""
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


def judge(story: Story, expected: Expected) -> list[str]:
    """What is wrong with what was recognised; nothing is wrong when the list is empty."""
    problems = []
    right = False
    for sighting in story.recognised:
        person = story.person(sighting.name or "")
        is_she = (
            (person.photograph.name, sighting.photograph.name) == (expected.enrolled_in, expected.seen_in)
            and person.box.holds(expected.enrolled_at)
            and sighting.box.holds(expected.seen_at)
        )
        right = right or is_she
        if not is_she:
            problems.append(f"a stranger in {sighting.photograph.name} was taken for {person.name}")
    if not right:
        problems.append(f"the person of {expected.enrolled_in} was not recognised in {expected.seen_in}")
    return problems
