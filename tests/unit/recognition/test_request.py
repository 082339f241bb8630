"""Recognition requests: limits without effect cost nothing, others add the estimations that they need."""

import pytest

from apps.handlers.policies import Policies, policies_parse
from apps.recognition.request.build import MAX_ANGLE_DEGREES, recognition_request


def test_nothing_is_estimated_by_default() -> None:
    asked = recognition_request()
    assert asked.plan.estimators == frozenset()
    assert (asked.plan.detect_face, asked.plan.detect_body, asked.plan.warp, asked.plan.body_warp) == (
        True, False, False, False,
    )  # fmt: skip


def test_limits_that_limit_nothing_are_left_out() -> None:
    asked = recognition_request(angles={"yaw": MAX_ANGLE_DEGREES, "roll": 180.0}, states={"mask": (), "liveness": []})
    assert (asked.limits.angles, asked.limits.states, asked.plan.estimators) == ({}, {}, frozenset())


def test_limits_bring_the_estimations_that_they_need() -> None:
    asked = recognition_request(
        estimations=["gaze"], angles={"yaw": 10, "pitch": 180}, states={"mask": [1], "deepfake": [1]}
    )
    assert asked.limits.angles == {"yaw": 10}
    assert asked.limits.states == {"mask": (1,), "deepfake": (1,)}
    assert asked.plan.estimators == {"gaze", "head_pose", "mask", "deepfake"}


@pytest.mark.parametrize(
    ("estimations", "version"),
    [(["gaze"], None), (["face_descriptor"], 59), (["body_descriptor", "gaze"], 59), ([], None)],
)
def test_a_version_counts_only_where_a_descriptor_is_made(estimations: list[str], version: int | None) -> None:
    assert recognition_request(estimations=estimations, descriptor_version=59).plan.descriptor_version == version


def test_policies_ask_for_descriptors_of_what_they_detect() -> None:
    def estimators(policies: Policies) -> frozenset[str]:
        asked = policies.recognition_request(use_exif=True, face_warps=True, body_warps=False)
        assert (asked.plan.warp, asked.plan.body_warp) == (True, False)
        return asked.plan.estimators

    assert estimators(Policies()) == {"face_descriptor"}
    extract = {"extract_body_descriptor": 1, "extract_basic_attributes": 1}
    both = policies_parse({"extract_policy": extract, "detect_policy": {"detect_body": 1}})
    assert estimators(both) == {"face_descriptor", "basic_attributes", "body_descriptor"}
    bodies = policies_parse({"extract_policy": extract, "detect_policy": {"detect_face": 0, "detect_body": 1}})
    assert estimators(bodies) == {"body_descriptor"}
