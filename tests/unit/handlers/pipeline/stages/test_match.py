"""Stage match: candidates of each policy, and the most similar of all."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import override_config
from apps.common.descriptors import Descriptor, DescriptorVersion
from apps.common.errors import LunaError
from apps.common.filters.enums import ObjectType
from apps.events.shapes import TARGETS, top_match_shape
from apps.faces.attributes import attribute_create
from apps.faces.services import faces_create
from apps.faces.types import AttributeData, FaceDraft
from apps.handlers.config import HandlersLimits
from apps.handlers.messages import matches_block
from apps.handlers.pipeline.stages.match import match
from tests.factories import make_account, make_version
from tests.factories import make_event as store_event
from tests.unit.handlers.pipeline.runs import make_event, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def version() -> DescriptorVersion:
    return make_version(9801, 2)


def descriptor(version: DescriptorVersion, *components: float) -> Descriptor:
    return Descriptor(version.version, np.array(components, np.float32), 0.9)


def face(account: Account, descriptor: Descriptor, external_id: str) -> Any:
    draft = FaceDraft(external_id=external_id, attribute=AttributeData(descriptors=(descriptor,)))
    return faces_create(account_id=account.account_id, drafts=[draft])[0]


def policy(label: str, **members: Any) -> dict[str, Any]:
    return {"label": label, "candidates": {"origin": "faces"}, **members}


def run_of(account: Account, *match_policy: Any, events: Any, policies: Any = None) -> Any:
    given = {"match_policy": match_policy, **(policies or {})}
    return match(make_run(given, account_id=account.account_id, events=tuple(events)))


def test_the_most_similar_of_all_labels(account: Account, version: DescriptorVersion) -> None:
    near = face(account, descriptor(version, 1, 0), "near")
    face(account, descriptor(version, 0, 1), "far")
    stored = store_event(account, descriptor(version, 0.8, 0.6), external_id="event")
    probe = make_event(descriptor=descriptor(version, 1, 0))
    events = {"label": "events", "candidates": {"origin": "events"}}
    (event,) = run_of(account, events, policy("faces", limit=1), events=[probe]).events
    assert [found.label for found in event.matches] == ["events", "faces"]
    assert [[each.object_id for each in found.matches] for found in event.matches] == [
        [stored.event_id],
        [near.face_id],
    ]
    draft = event.draft
    assert (draft.top_matching_candidates_label, draft.top_similar_object_id) == ("faces", near.face_id)
    assert (draft.top_similar_object_type, draft.top_similar_external_id) == (ObjectType.FACE, "near")
    assert draft.top_similar_object_similarity == pytest.approx(1.0)


def test_matches_become_a_column(account: Account, version: DescriptorVersion) -> None:
    near = face(account, descriptor(version, 1, 0), "near")
    probe = make_event(descriptor=descriptor(version, 1, 0))
    (event,) = run_of(account, policy("a", targets=["face_id", "similarity"]), events=[probe]).events
    candidate = {"face": {"face_id": str(near.face_id)}, "event": None, "similarity": pytest.approx(1.0)}
    assert event.draft.match_result == [{"label": "a", "candidates": [candidate]}]


def test_an_event_as_top_match(account: Account, version: DescriptorVersion) -> None:
    stored = store_event(account, descriptor(version, 1, 0), external_id="event")
    probe = make_event(descriptor=descriptor(version, 1, 0))
    (event,) = run_of(account, {"label": "a", "candidates": {"origin": "events"}}, events=[probe]).events
    assert (event.draft.top_similar_object_id, event.draft.top_similar_object_type) == (
        stored.event_id,
        ObjectType.EVENT,
    )
    assert event.draft.top_similar_external_id == "event"


def test_attributes_as_candidates(account: Account, version: DescriptorVersion) -> None:
    known, far, foreign = (
        attribute_create(account_id=owner.account_id, data=AttributeData(descriptors=(descriptor(version, *each),)))
        for owner, each in ((account, (1, 0)), (account, (0, 1)), (make_account(), (1, 0)))
    )
    ids = [str(each.attribute_id) for each in (foreign, far, known)]
    face(account, descriptor(version, 0.8, 0.6), "face")
    probe = make_event(descriptor=descriptor(version, 1, 0))
    candidates = {"origin": "attributes", "attribute_ids": [*ids, str(uuid4())]}
    (event,) = run_of(
        account,
        policy("temporary", candidates=candidates, threshold=0.9, targets=["attribute_id"]),
        policy("faces"),
        policy("after", filters={"match": [{"label": "temporary", "similarity__gte": 0.9}]}, limit=1),
        events=[probe],
    ).events
    assert [found.label for found in event.matches] == ["temporary", "faces", "after"]
    candidate = {
        "face": None,
        "event": None,
        "attribute": {"attribute_id": str(known.attribute_id)},
        "similarity": pytest.approx(1.0),
    }
    assert event.draft.match_result[0] == {"label": "temporary", "candidates": [candidate]}
    # The id of the top match names a face or an event. An attribute is neither, and will expire.
    assert event.draft.top_matching_candidates_label == "temporary"
    assert event.draft.top_similar_object_similarity == pytest.approx(1.0)
    top = top_match_shape(event.draft)
    assert top == {
        "label": "temporary",
        "similarity": pytest.approx(1.0),
        "face_id": None,
        "event_id": None,
        "external_id": None,
    }


def test_bodies_are_compared_with_bodies_of_events(account: Account, version: DescriptorVersion) -> None:
    bodies = make_version(9811, 2, kind="body")
    seen = store_event(account, descriptor(version, 0, 1), descriptor(bodies, 1, 0), source="gate", age=30, gender=0)
    store_event(account, descriptor(version, 1, 0))
    event = replace(make_event(descriptor=descriptor(version, 1, 0)), body_descriptor=descriptor(bodies, 1, 0))
    found = run_of(
        account,
        policy("body", descriptor="body", candidates={"origin": "events"}, targets=["event_id", "age", "gender"]),
        policy("face", candidates={"origin": "events"}, limit=1),
        events=[event],
        policies={"extract_policy": {"extract_body_descriptor": 1}},
    ).events[0]
    assert [each.object_id for each in found.matches[0].matches] == [seen.event_id]
    assert found.matches[1].matches[0].object_id != seen.event_id
    body = {"event_id": str(seen.event_id), "gender": 0, "age": 30}
    assert found.draft.match_result[0]["candidates"][0]["event"] == body


def test_without_a_body_descriptor_nothing_is_matched(account: Account, version: DescriptorVersion) -> None:
    event = make_event(descriptor=descriptor(version, 1, 0))
    body = policy("body", descriptor="body", candidates={"origin": "events"})
    extract = {"extract_policy": {"extract_body_descriptor": 1}}
    assert run_of(account, body, events=[event], policies=extract).events == (event,)


def test_every_target_of_events(account: Account, version: DescriptorVersion) -> None:
    """Targets name the members of a matched event, and no more columns are read."""
    store_event(account, descriptor(version, 1, 0), age=30, source="gate", meta={"a": 1})
    for name in TARGETS:
        probe = make_event(descriptor=descriptor(version, 1, 0))
        (event,) = run_of(account, policy("a", candidates={"origin": "events"}, targets=[name]), events=[probe]).events
        (candidate,) = matches_block(event.matches[0])["candidates"]
        assert set(candidate["event"] or {}) == {name}


def test_filters_see_earlier_policies(account: Account, version: DescriptorVersion) -> None:
    face(account, descriptor(version, 1, 0), "near")
    probes = [make_event(descriptor=descriptor(version, *each)) for each in ((1, 0), (0, 1))]
    second = policy("second", filters={"match": [{"label": "first", "similarity__gte": 0.9}]})
    matched, other = run_of(account, policy("first"), second, events=probes).events
    assert [found.label for found in matched.matches] == ["first", "second"]
    assert [found.label for found in other.matches] == ["first"]


def test_events_without_a_face_descriptor_stay_as_they_are(account: Account) -> None:
    event = make_event()
    assert run_of(account, policy("a"), events=[event]).events == (event,)


def test_faces_of_others_are_no_candidates(account: Account, version: DescriptorVersion) -> None:
    face(make_account(), descriptor(version, 1, 0), "foreign")
    probe = make_event(descriptor=descriptor(version, 1, 0))
    (event,) = run_of(account, policy("a"), events=[probe]).events
    assert event.matches[0].matches == ()
    foreign = policy("a", candidates={"origin": "faces", "account_id": str(uuid4())})
    with pytest.raises(LunaError) as caught:
        run_of(account, foreign, events=[])
    assert caught.value.code == errors.FOREIGN_ACCOUNT_ID


def test_a_lowered_setting_limits_stored_policies(account: Account, version: DescriptorVersion) -> None:
    for number in range(3):
        face(account, descriptor(version, 1, 0), str(number))
    run = make_run(
        {"match_policy": [policy("all", limit=3)]},
        account_id=account.account_id,
        events=(make_event(descriptor=descriptor(version, 1, 0)),),
    )
    with override_config(HandlersLimits, result_candidate_limit=2):
        assert len(match(run).events[0].matches[0].matches) == 2
    assert len(match(run).events[0].matches[0].matches) == 3
