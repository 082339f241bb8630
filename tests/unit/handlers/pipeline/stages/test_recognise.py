"""Stage recognise: results of pictures, and descriptors in their place."""

from typing import Any

import numpy as np
import pytest

from apps.common import errors
from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.handlers.pipeline.stages.recognise import recognise
from apps.handlers.types import EventParams
from apps.recognition.inputs.types import DescriptorFile, Inputs, Picture
from apps.recognition.types import ImageInput
from tests.api.handlers.helpers import astronaut
from tests.unit.handlers.pipeline.runs import make_picture, make_run

BROKEN = LunaError(errors.IMAGE_DOWNLOAD_FAILED, "http://example.org")
ASKS_FOR_MORE = {"detect_policy": {"estimate_mask": 1}}


def file(count: int = 1, **members: Any) -> DescriptorFile:
    version = versions.default("face")
    vector = np.eye(1, version.dimension, dtype=np.float32)[0]
    return DescriptorFile(filename="a.xpk", descriptors=((version, vector),) * count, **members)


def picture(data: bytes, **members: Any) -> Picture:
    return Picture(image=ImageInput(data), **members)


def test_a_result_for_each_picture() -> None:
    inputs = Inputs(pictures=(picture(astronaut()), make_picture(error=BROKEN)))
    found, broken = recognise(make_run(inputs=inputs)).results
    assert [sorted(face.estimations) for face in found.faces] == [["face_descriptor"]]
    assert broken.error is BROKEN


def test_an_error_of_the_whole_request_is_raised() -> None:
    with pytest.raises(LunaError) as caught:
        recognise(make_run(inputs=Inputs(pictures=(make_picture(error=BROKEN),), alone=True)))
    assert caught.value is BROKEN


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("stored", [True, False])
def test_warps_are_made_where_samples_are_stored(stored: bool, sampled: bool) -> None:
    sample_id = "00000000-0000-4000-8000-000000000000" if sampled else None
    policies = {"storage_policy": {"face_sample_policy": {"store_sample": int(stored)}}}
    run = make_run(policies, inputs=Inputs(pictures=(picture(astronaut(), sample_id=sample_id),)))
    ((face,),) = (result.faces for result in recognise(run).results)
    assert (face.warp.size > 0) == (stored and not sampled)


def test_descriptors_need_no_network() -> None:
    run = recognise(make_run(inputs=Inputs(descriptors=(file(),))))
    assert (run.results, len(run.inputs.descriptors[0].descriptors)) == ((), 1)


def test_descriptors_cannot_be_aggregated() -> None:
    with pytest.raises(LunaError) as caught:
        recognise(make_run(inputs=Inputs(descriptors=(file(),)), params=EventParams(aggregate=True)))
    assert caught.value.code == errors.NO_AGGREGATION_OF_DESCRIPTORS


def test_too_many_descriptors() -> None:
    recognise(make_run(inputs=Inputs(descriptors=(file(30),))))
    with pytest.raises(LunaError) as caught:
        recognise(make_run(inputs=Inputs(descriptors=(file(30), file()))))
    assert caught.value.code == errors.TOO_MANY_REFERENCES


def test_a_descriptor_cannot_replace_a_picture_that_policies_need() -> None:
    run = recognise(make_run(ASKS_FOR_MORE, inputs=Inputs(descriptors=(file(), file(error=BROKEN)))))
    refused, broken = run.inputs.descriptors
    assert (refused.descriptors, refused.error.code) == ((), errors.INVALID_JSON)
    assert "policies.detect_policy.estimate_mask" in refused.error.detail
    assert broken.error is BROKEN
    with pytest.raises(LunaError) as caught:
        recognise(make_run(ASKS_FOR_MORE, inputs=Inputs(descriptors=(file(),), alone=True)))
    assert caught.value.code == errors.INVALID_JSON
