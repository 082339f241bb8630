"""Stage decide: objects, rows and receivers of events, without writes."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from apps.common.descriptors import Descriptor
from apps.handlers.pipeline.run import Run
from apps.handlers.pipeline.stages.decide import decide
from apps.imagestore.choices import Bucket
from apps.recognition.inputs.types import Details
from tests.api.handlers.helpers import astronaut
from tests.unit.handlers.pipeline.runs import make_body, make_event, make_person, make_picture, make_run

DESCRIPTOR = Descriptor(1, np.ones(2, np.float32), 0.5)
LIST_ID = uuid4()


def decided(policy: Any, *events: Any) -> Run:
    return decide(make_run({"storage_policy": policy}, events=events))


def test_by_default_samples_and_events_are_stored_and_websockets_informed() -> None:
    run = decided({}, make_event(make_person(body=make_body()), descriptor=DESCRIPTOR))
    (event,) = run.events
    assert [item.bucket for item in run.objects] == [Bucket.FACE_SAMPLES, Bucket.BODY_SAMPLES]
    assert [item.object_id for item in run.objects] == [*event.samples, *event.body_samples]
    assert {item.account_id for item in run.objects} == {run.account_id}
    assert len(run.objects[0].meta["landmarks5"]) == 5  # type: ignore[arg-type]
    decision = event.decision
    assert (decision.store_event, decision.websockets, decision.callbacks) == (True, True, ())
    assert (event.face, decision.attribute) == (None, None)


@pytest.mark.parametrize(
    "policy",
    [
        {"store_sample": 0},
        {"store_sample": 1, "filters": {"age__gte": 31}},
    ],
)
def test_no_samples(policy: Any) -> None:
    run = decided({"face_sample_policy": policy, "body_sample_policy": policy}, make_event(make_person(), age=30))
    assert (run.objects, run.events[0].samples) == ((), ())


def test_a_picture_that_is_a_sample_is_not_stored_again() -> None:
    sample_id = uuid4()
    run = decided({}, make_event(make_person(picture=make_picture(sample_id=sample_id))))
    assert (run.objects, run.events[0].samples) == ((), (sample_id,))


def test_a_source_image_is_stored_once() -> None:
    picture = make_picture()
    picture = replace(picture, image=replace(picture.image, data=astronaut()))
    policy = {"face_sample_policy": {"store_sample": 0}, "image_origin_policy": {"store_image": 1, "ttl": 7}}
    run = decided(policy, *(make_event(make_person(picture=picture)) for _ in range(2)))
    (image,) = run.objects
    assert (image.bucket, image.data, image.ttl_days) == (Bucket.IMAGES, astronaut(), 7)
    assert {person.image_origin for event in run.events for person in event.persons} == {f"/6/images/{image.object_id}"}


@pytest.mark.parametrize(
    ("picture", "origin"),
    [
        ({"details": Details(image_origin="http://own/1")}, "http://own/1"),
        ({"url": "http://example.org/1"}, "http://example.org/1"),
    ],
)
def test_an_address_of_the_client_replaces_the_copy(picture: Any, origin: str) -> None:
    policy = {"image_origin_policy": {"store_image": 1, "use_external_references": 1}}
    run = decided(policy, make_event(make_person(picture=make_picture(**picture))))
    assert run.events[0].persons[0].image_origin == origin
    assert Bucket.IMAGES not in {item.bucket for item in run.objects}


def test_a_face_with_its_lists_and_avatar() -> None:
    links = [{"list_id": str(LIST_ID)}, {"list_id": str(uuid4()), "filters": {"age__gte": 31}}]
    policy = {"face_policy": {"store_face": 1, "link_to_lists_policy": links}}
    run = decided(policy, make_event(make_person(), descriptor=DESCRIPTOR, age=30, external_id="x"))
    (event,) = run.events
    assert event.face is not None
    assert (event.draft.face_id, event.draft.attach_result) == (event.face.face_id, (LIST_ID,))
    assert (event.face.external_id, event.face.event_id) == ("x", event.draft.event_id)
    assert event.face.avatar == f"/6/samples/faces/{event.samples[0]}"
    assert event.face.attribute is not None
    assert event.face.attribute.descriptors == (DESCRIPTOR,)


def test_a_body_alone_gets_no_face() -> None:
    run = decided({"face_policy": {"store_face": 1}}, make_event(make_person(face=None, body=make_body())))
    assert (run.events[0].face, run.events[0].draft.face_id) == (None, None)


def test_a_temporary_attribute() -> None:
    policy = {"attribute_policy": {"store_attribute": 1, "ttl": 60}}
    of_face, of_nothing = decided(policy, make_event(make_person(), descriptor=DESCRIPTOR), make_event()).events
    assert of_face.decision.attribute is not None
    assert (of_face.decision.attribute.descriptor_samples, of_face.decision.attribute_ttl_s) == (of_face.samples, 60)
    assert of_nothing.decision.attribute is None


@pytest.mark.parametrize(
    ("policy", "websockets", "urls"),
    [
        ({"notification_policy": {"send_notification": 0}}, False, []),
        ({"notification_policy": {"filters": {"age__gte": 31}}}, False, []),
        (
            {
                "notification_policy": {"send_notification": 0},
                "callbacks": [
                    {"type": "http", "url": "http://a"},
                    {"type": "http", "url": "http://b", "enable": 0},
                    {"type": "http", "url": "http://c", "filters": {"age__gte": 31}},
                    {"type": "luna-ws-notification"},
                ],
            },
            True,
            ["http://a"],
        ),
    ],
)
def test_who_is_informed(policy: Any, websockets: bool, urls: list[str]) -> None:
    (event,) = decided(policy, make_event(make_person(), age=30)).events
    assert event.decision.websockets == websockets
    assert [target.packed()["url"] for target in event.decision.callbacks] == urls


def test_an_event_that_is_not_stored() -> None:
    (event,) = decided({"event_policy": {"store_event": 0}}, make_event(make_person())).events
    assert not event.decision.store_event
