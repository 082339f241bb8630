"""Stage screen: persons within the limits become events."""

from dataclasses import replace

import numpy as np
import pytest

from apps.common import errors
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.handlers.pipeline.run import Run
from apps.handlers.pipeline.stages.screen import screen
from apps.handlers.types import EventParams
from apps.recognition.estimators.head_pose import HeadPose
from apps.recognition.inputs.types import DescriptorFile, Details, Inputs
from apps.recognition.types import ImageResult
from tests.factories import NOON, make_version
from tests.unit.handlers.pipeline.runs import make_body, make_face, make_picture, make_result, make_run

STRAIGHT, TURNED = HeadPose(pitch=0, yaw=0, roll=0), HeadPose(pitch=0, yaw=60, roll=0)
LIMITED = {"detect_policy": {"yaw_threshold": 30}}


def described(*components: float) -> Descriptor:
    return Descriptor(1, np.array(components, np.float32), 0.9)


def run_of(*results: ImageResult, policies: object = None, aggregate: bool = False, **params: object) -> Run:
    pictures = tuple(make_picture(result.filename) for result in results)
    return make_run(
        policies,
        inputs=Inputs(pictures=pictures),
        results=results,
        params=EventParams(aggregate=aggregate, **params),  # type: ignore[arg-type]
    )


def test_an_event_for_each_person() -> None:
    faces = make_face(face_descriptor=described(1, 0)), make_face()
    run = screen(run_of(make_result(*faces, bodies=(make_body(0), make_body())), source="door", create_time=NOON))
    first, second, third = run.events
    assert [event.has_face for event in run.events] == [True, True, False]
    assert [event.has_body for event in run.events] == [True, False, True]
    assert (first.descriptor, second.descriptor) == (faces[0].estimations["face_descriptor"], None)
    assert {event.draft.source for event in run.events} == {"door"}
    assert {event.draft.end_time for event in run.events} == {NOON}
    assert third.persons[0].picture is run.inputs.pictures[0]


def test_a_rejected_face_takes_its_body_along() -> None:
    result = make_result(make_face(head_pose=STRAIGHT), make_face(head_pose=TURNED), bodies=(make_body(1),))
    run = screen(run_of(result, policies=LIMITED))
    (picture,) = run.pictures
    assert [person.face for event in run.events for person in event.persons] == [result.faces[0]]
    ((rejected),) = picture.rejected
    assert (rejected.face, rejected.body) == (result.faces[1], result.bodies[0])
    assert [reason.filter_name for reason in rejected.reasons] == ["yaw_threshold"]


def test_a_picture_without_persons_has_no_event() -> None:
    run = screen(run_of(make_result(), ImageResult("b.jpg", error=LunaError(errors.BAD_IMAGE_CONTENT_TYPE, ""))))
    assert (run.events, [picture.filename for picture in run.pictures]) == ((), ["a.jpg", "b.jpg"])


def test_one_event_of_all_pictures() -> None:
    faces = [make_face(face_descriptor=described(*each)) for each in ((1, 0), (0, 1))]
    run = screen(run_of(*(make_result(face) for face in faces), aggregate=True))
    (event,) = run.events
    assert (event.aggregated, [person.face for person in event.persons]) == (True, faces)
    assert event.descriptor is not None
    np.testing.assert_allclose(event.descriptor.vector, [0.5**0.5] * 2, rtol=1e-6)


def test_nobody_to_aggregate() -> None:
    assert screen(run_of(make_result(), aggregate=True)).events == ()


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (make_result(make_face(), make_face()), errors.MULTIPLE_FACES_FOUND),
        (make_result(bodies=(make_body(), make_body())), errors.MULTIPLE_BODIES_IN_IMAGE),
    ],
)
def test_aggregation_takes_pictures_of_one_person(result: ImageResult, code: int) -> None:
    with pytest.raises(LunaError) as caught:
        screen(run_of(result, aggregate=True))
    assert caught.value.code == code


def test_descriptors_pass() -> None:
    face = make_version(9803, 1)
    body = replace(face, version=9804, kind="body")
    vector = np.zeros(1, np.float32)
    file = DescriptorFile(
        filename="a", descriptors=((face, vector), (body, vector)), details=Details(meta={"own": 1, "common": 2})
    )
    run = screen(make_run(LIMITED, inputs=Inputs(descriptors=(file,), meta={"common": 1})))
    of_face, of_body = run.events
    assert of_face.descriptor is not None
    assert of_body.body_descriptor is not None
    assert (of_face.has_body, of_body.has_face, of_face.persons) == (False, False, ())
    assert of_face.draft.meta == {"common": 2, "own": 1}
