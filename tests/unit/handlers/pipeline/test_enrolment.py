"""Unknown people are enrolled once, however many requests show them at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.accounts.models import Account
from apps.common.descriptors import DescriptorVersion
from apps.faces.models import Face, ListFace
from apps.faces.services import list_create
from apps.handlers.pipeline.generate import generate_events
from apps.handlers.pipeline.run import Run
from apps.handlers.policies import policies_parse
from apps.handlers.types import EventParams, GeneratedEvent
from apps.recognition.inputs.types import DescriptorFile, Inputs
from tests.factories import make_account, make_version, principal_of_account

UNKNOWN = {"match": [{"label": "people", "no_match": 1}]}


class Gate:
    """A handler that enrols whom nobody in its list resembles."""

    def __init__(self, account: Account, version: DescriptorVersion, *, at: str = "face", **candidates: Any) -> None:
        self.account, self.version = account, version
        self.list_id = str(list_create(account_id=account.account_id).list_id)
        filters = {"origin": "faces", "list_id": self.list_id} | candidates
        link = {"list_id": self.list_id, "filters": UNKNOWN if at == "link" else {}}
        self.policies = policies_parse(
            {
                "match_policy": [{"label": "people", "candidates": filters, "threshold": 0.8}],
                "conditional_tags_policy": [{"tag": "new", "filters": UNKNOWN}],
                "storage_policy": {
                    "face_policy": {
                        "store_face": 1,
                        "filters": UNKNOWN if at == "face" else {},
                        "link_to_lists_policy": [link],
                    }
                },
            }
        )

    def show(self, *vectors: tuple[float, float]) -> tuple[GeneratedEvent, ...]:
        """Generate the events of one request with these descriptors."""
        files = [
            DescriptorFile(filename=str(place), descriptors=((self.version, np.array(each, np.float32)),))
            for place, each in enumerate(vectors)
        ]
        run: Run = generate_events(
            principal=principal_of_account(self.account),
            handler_id=None,
            policies=self.policies,
            inputs=Inputs(descriptors=tuple(files)),
            params=EventParams(),
        )
        return run.events

    @property
    def members(self) -> int:
        return ListFace.objects.filter(list__list_id=self.list_id).count()


@pytest.fixture
def version() -> DescriptorVersion:
    return make_version(9801, 2)


@pytest.mark.django_db
@pytest.mark.parametrize("at", ["face", "link"])
def test_an_empty_list_knows_nobody(version: DescriptorVersion, at: str) -> None:
    gate = Gate(make_account(), version, at=at)
    (first,) = gate.show((1, 0))
    (again,) = gate.show((1, 0))
    (other,) = gate.show((0, 1))
    assert [event.draft.tags for event in (first, again, other)] == [("new",), (), ("new",)]
    assert first.face is not None
    assert again.matches[0].matches[0].object_id == first.face.face_id
    assert first.matches[0].matches == other.matches[0].matches == ()
    assert gate.members == 2
    assert Face.objects.unscoped().count() == (2 if at == "face" else 3)


@pytest.mark.django_db
def test_one_request_shows_a_person_twice(version: DescriptorVersion) -> None:
    """A later event of a request resembles the face of an earlier one, as if they were sent one after the other."""
    gate = Gate(make_account(), version)
    first, other, again = gate.show((1, 0), (0, 1), (1, 0))
    assert [event.face is not None for event in (first, other, again)] == [True, True, False]
    assert first.face is not None
    (match,) = again.matches[0].matches
    assert (match.object_id, round(match.similarity, 6)) == (first.face.face_id, 1)
    assert (again.draft.top_similar_object_id, again.draft.tags) == (first.face.face_id, ())
    stored = Face.objects.unscoped().get(face_id=first.face.face_id)
    assert match.face is not None
    assert (match.face.create_time, match.face.event_id, list(map(str, match.face.lists))) == (
        stored.create_time, stored.event_id, [gate.list_id]
    )  # fmt: skip
    (later,) = gate.show((1, 0))
    assert later.matches[0].matches[0].face is not None
    assert later.matches[0].matches[0].face[1:] == match.face[1:]


@pytest.mark.django_db
def test_only_candidates_of_the_policy_count(version: DescriptorVersion) -> None:
    """A new face outside of the candidates leaves the next event unknown, in one request as in two."""
    gate = Gate(make_account(), version, external_ids=["somebody else"])
    assert [event.face is not None for event in gate.show((1, 0), (1, 0))] == [True, True]
    assert [event.face is not None for event in gate.show((1, 0))] == [True]


@pytest.mark.django_db
def test_unmatched_is_not_unknown(version: DescriptorVersion) -> None:
    """An event without a descriptor of faces is compared with nobody, so nothing is known about its person."""
    body = make_version(9802, 2, kind="body")
    gate = Gate(make_account(), body)
    (event,) = gate.show((1, 0))
    assert (event.matches, event.face, event.draft.tags) == ((), None, ())


@pytest.mark.django_db(transaction=True)
def test_concurrent_requests_of_one_person(version: DescriptorVersion) -> None:
    gate, count = Gate(make_account(), version), 8
    start = threading.Barrier(count)

    def request(_: int) -> bool:
        try:
            start.wait()
            (event,) = gate.show((1, 0))
            return event.face is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        enrolled = list(pool.map(request, range(count)))
    assert (sum(enrolled), gate.members) == (1, 1)
