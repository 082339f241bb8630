"""Every member of the policies changes what is answered and what is stored: one row of a table for each."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from PIL import Image
from rest_framework import serializers

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor
from apps.common.filters import FilterSerializer
from apps.common.validation import StrictSerializer
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.pipeline.stages import notify, write
from apps.handlers.policies import PoliciesSerializer
from apps.handlers.policies.face_quality import ChecksSerializer
from apps.handlers.policies.match import CandidatesField
from apps.recognition.checks import recognise as checks
from tests.api.handlers.helpers import JPEG, JSON, astronaut, encoded
from tests.api.handlers.members import LIST, ONE_VALUE, ROWS, Row, Seen, policies
from tests.api.handlers.recorded import BODY_VERSION, NAMES, Recording
from tests.factories import make_version, unit_vectors

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.of(astronaut())


@cache
def png() -> bytes:
    return encoded(Image.open(io.BytesIO(astronaut())), "PNG")


@dataclass(frozen=True)
class World:
    client: Client
    keys: "redis.Redis"
    published: list[Any]
    queued: list[Any]
    list_id: str

    def see(self, filename: str, members: dict[str, Any]) -> Seen:
        """Store a handler with these members and generate events."""
        text = orjson.dumps(policies(*members.items())).decode().replace(LIST, self.list_id)
        handler = self.client.post("/6/handlers", {"policies": orjson.loads(text)}, JSON)
        assert handler.status_code == 201, handler.json()
        query = "?image_type=1" if filename == "warp" else ""
        data = png() if filename == "a.png" else astronaut()
        file = SimpleUploadedFile(filename, data, JPEG)
        self.published.clear()
        answer = self.client.post(f"{handler.json()['url']}/events{query}", {"image": file})
        assert answer.status_code == 201, answer.json()
        return Seen(answer.json(), self.keys, list(self.published), len(self.queued))


@pytest.fixture
def world(
    client: Client, account: Account, recording: Recording, redis_client: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> World:
    """A list with the person of the photograph, a face that nobody resembles, and the recorded engine."""
    make_version(BODY_VERSION, 2, kind="body")
    monkeypatch.setattr(checks, "recognise", recording.recognise)
    monkeypatch.setattr(checks, "available_estimators", lambda: NAMES)
    published: list[Any] = []
    monkeypatch.setattr(notify, "event_publish", lambda **message: published.append(message))
    queued: list[Any] = []
    monkeypatch.setattr(write, "events_enqueue", lambda *, records, **others: queued.extend(records))
    monkeypatch.setattr(transaction, "on_commit", lambda call, **options: call())
    for key in redis_client.keys("luna:attribute:*"):
        redis_client.delete(key)
    same = recording.result.faces[0].estimations["face_descriptor"]
    assert isinstance(same, Descriptor)
    list_id = list_create(account_id=account.account_id).list_id
    other = Descriptor(same.version, unit_vectors(1, len(same.vector))[0])
    for descriptor, lists in ((same, (list_id,)), (other, ())):
        attribute = AttributeData((descriptor,))
        face_create(account_id=account.account_id, draft=FaceDraft(lists=lists, attribute=attribute))
    return World(client, redis_client, published, queued, str(list_id))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.member)
@pytest.mark.parametrize("changed", [False, True], ids=["before", "after"])
def test_a_member_makes_a_difference(world: World, row: Row, changed: bool) -> None:
    members = {**row.context, row.member: row.value} if changed else row.context
    assert row.look(world.see(row.filename, members)) == (row.after if changed else row.before)


def test_every_member_has_a_row() -> None:
    """Or has one value only; and each row expects a difference."""
    members = set(leaves(PoliciesSerializer()))
    assert members == {row.member for row in ROWS} | ONE_VALUE
    assert ONE_VALUE.isdisjoint(row.member for row in ROWS)
    assert all(row.before != row.after for row in ROWS)


def leaves(serializer: serializers.Serializer[Any], path: str = "") -> Iterator[str]:
    """Yield the paths of the members without members of their own; filters, candidates and checks are one member."""
    for name, each in serializer.fields.items():
        inner = each.child if isinstance(each, serializers.ListField) else each
        whole = (FilterSerializer, ChecksSerializer, CandidatesField)
        if isinstance(inner, StrictSerializer) and not isinstance(inner, whole):
            yield from leaves(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"
