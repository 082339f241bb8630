"""The rows of the vocabulary agree with the estimators, the events and the filter language."""

import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from apps.common.filters.terms import TERMS
from apps.events.models import Event
from apps.events.shapes import TARGETS
from apps.events.types import EventDraft
from apps.recognition.estimators.accessories import Accessories
from apps.recognition.estimators.base import AnyEstimator, BodyEstimator, Estimator, SceneEstimator
from apps.recognition.estimators.basic_attributes import BasicAttributes
from apps.recognition.estimators.body_basic_attributes import BodyBasicAttributes
from apps.recognition.estimators.deepfake import Deepfake
from apps.recognition.estimators.emotions import Emotions
from apps.recognition.estimators.ethnicity import Ethnicities
from apps.recognition.estimators.liveness import Liveness
from apps.recognition.estimators.lower_body import LowerBody
from apps.recognition.estimators.mask import Mask
from apps.recognition.estimators.registry import all_estimators
from apps.recognition.estimators.upper_body import UpperBody
from apps.recognition.request.aggregation import aggregate, event_columns
from apps.recognition.vocabulary import ESTIMATIONS, Estimation, Kind, Place, detector_flags, policy_flags, sdk_flags

# Rows without an estimator: the report of the image checks, and a flag whose estimator this platform has not.
WITHOUT_ESTIMATOR = {"face_quality", "image_modification"}
KINDS: dict[Kind, type[AnyEstimator]] = {
    Kind.FACE: Estimator, Kind.BODY: BodyEstimator, Kind.PICTURE: SceneEstimator,
}  # fmt: skip
STORED: dict[str, tuple[object, dict[str, Any]]] = {
    "emotions": (Emotions(0, 0, 0, 1, 0, 0, 0), {"emotion": 4}),
    "mask": (Mask({"missing": 0.2, "occluded": 0.8}, None), {"mask": 3}),
    "liveness": (Liveness(0.9, 0.9, 0.5), {"liveness": 1}),
    "deepfake": (Deepfake(0.1), {"deepfake": 0}),
    "basic_attributes": (
        BasicAttributes(30, 1, 0.9, Ethnicities({"asian": 0.8})), {"age": 30, "gender": 1, "ethnic_group": 3},
    ),
    "body_basic_attributes": (BodyBasicAttributes(41, 0.1), {"apparent_age": 41, "apparent_gender": 0}),
    "upper_body": (
        UpperBody(("red", "black"), 0.0),
        {
            "headwear_state": 2, "headwear_apparent_color": 0, "sleeve_length": 1, "upper_clothing_colors": [7, 1],
        },
    ),
    "lower_body": (
        LowerBody("skirt", ("khaki",), "white"),
        {"lower_garment_type": 3, "lower_garment_colors": [13], "shoes_apparent_color": 1},
    ),
    "accessories": (Accessories(0.9, 0.5, True), {"backpack_state": 1}),
}  # fmt: skip
ROWS = pytest.mark.parametrize("row", ESTIMATIONS.values(), ids=lambda row: row.name)


def test_every_estimator_has_a_row() -> None:
    public = {name for name, estimator in all_estimators().items() if estimator.public}
    assert public == ESTIMATIONS.keys() - WITHOUT_ESTIMATOR


@ROWS
def test_an_estimation_that_answers_show_has_json(row: Estimation) -> None:
    if row.name in WITHOUT_ESTIMATOR:
        return
    estimator = all_estimators()[row.name]
    assert isinstance(estimator, KINDS[row.kind])
    shown = row.place is not Place.ELSEWHERE
    assert (type(estimator).json is not AnyEstimator.json, estimator.result is not None) == (shown, shown)


@ROWS
def test_columns_are_those_of_events_and_filters(row: Estimation) -> None:
    filtered = {term.column for term in TERMS.values()}
    shown = {column for target in TARGETS.values() for column in target.columns}
    drafted = {field.name for field in fields(EventDraft)}
    modelled = {field.name for field in Event._meta.get_fields()}
    for column in row.columns:
        for known in (filtered, shown, drafted, modelled):
            assert column in known


@ROWS
def test_estimators_fill_the_columns_of_their_row(row: Estimation) -> None:
    assert (row.name in STORED) == bool(row.columns)
    if row.columns:
        result, expected = STORED[row.name]
        assert event_columns({row.name: result}) == expected
        assert set(expected) == set(row.columns)
        assert aggregate([{row.name: result}]).keys() == {row.name}


def test_what_was_not_estimated_fills_no_column() -> None:
    assert event_columns({"emotions": None, "head_pose": object(), "face_quality": object()}) == {}


def test_a_name_stands_in_one_row() -> None:
    columns = [column for row in ESTIMATIONS.values() for column in row.columns]
    assert len(columns) == len(set(columns))
    for kind in Kind:
        members = [row.member for row in ESTIMATIONS.values() if row.kind is kind]
        assert len(members) == len(set(members))
    rows = ESTIMATIONS.values()
    for flags in (
        [row.sdk for row in rows if row.sdk],
        [row.policy for row in rows if row.policy],
        [row.policy or row.detector for row in rows if row.kind is Kind.FACE and (row.policy or row.detector)],
    ):
        assert len(flags) == len(set(flags))


def test_flags() -> None:
    assert policy_flags(Kind.FACE)["detect_landmarks68"] == "landmarks68"
    assert policy_flags(Kind.BODY)["estimate_basic_attributes"] == "body_basic_attributes"
    assert detector_flags().keys() - policy_flags(Kind.FACE).keys() == {"estimate_liveness", "estimate_face_quality"}
    assert sdk_flags()["estimate_people_count"].kind is Kind.PICTURE


def test_settings_can_read_it_before_django_is_set_up() -> None:
    program = "import sys, apps.recognition.switches; print({'django', 'numpy', 'rest_framework'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
