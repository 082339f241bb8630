"""The room's door: several pictures, their own errors, overload for all, forks."""

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.monitoring.spans import Tracer
from apps.recognition.run import facade, pipeline
from apps.recognition.types import ImageInput, MultifacePolicy, Plan
from tests.unit.recognition.pictures import astronaut, encoded, samples


def test_pictures_keep_their_order_and_their_errors() -> None:
    pictures = [encoded(astronaut()), b"nothing", samples()[1], encoded(astronaut())[:-500], samples()[2], b""]
    inputs = [ImageInput(data, str(number)) for number, data in enumerate(pictures)]
    results = facade.recognise(inputs, Plan())
    assert [result.filename for result in results] == [item.filename for item in inputs]
    assert [len(result.faces) for result in results] == [1, 0, 3, 0, 3, 0]
    assert [result.error and result.error.code for result in results] == [None, 18003, None, 18003, None, 18003]


def test_no_pictures_have_no_results() -> None:
    assert facade.recognise([], Plan()) == []


@pytest.mark.parametrize("name", ["mask", "deepfake", "no such thing", "mesh"])
def test_an_estimator_without_network_is_200005(name: str) -> None:
    with pytest.raises(LunaError) as caught:
        facade.recognise([ImageInput(b"")], Plan(estimators=frozenset({"head_pose", name})))
    assert caught.value.code == 200005
    assert name in caught.value.detail


@pytest.mark.parametrize("pictures", [1, 3])
def test_overload_is_an_error_of_the_request(monkeypatch: pytest.MonkeyPatch, pictures: int) -> None:
    running = facade.engine()
    monkeypatch.setattr(running, "config", replace(running.config, deadline_s=-1.0))
    with pytest.raises(LunaError) as caught:
        facade.recognise([ImageInput(encoded(astronaut()))] * pictures, Plan())
    assert caught.value.code == 37001
    assert caught.value.status == 503


@pytest.mark.parametrize("pictures", [1, 3])
def test_stages_of_all_pictures_belong_to_the_trace_of_the_request(pictures: int) -> None:
    exporter = InMemorySpanExporter()
    tracer = Tracer(exporter, service_name="luna", ratio=1.0)
    request = tracer.begin("request", traceparent="")
    with request.running():
        facade.recognise([ImageInput(encoded(astronaut()))] * pictures, Plan(estimators=frozenset({"head_pose"})))
    tracer.close()
    spans = exporter.get_finished_spans()
    assert Counter(each.name for each in spans) == dict.fromkeys(("decode", "detect", "mesh", "head_pose"), pictures)
    parents = {f"00-{each.context.trace_id:032x}-{each.parent.span_id:016x}" for each in spans}
    assert parents == {request.traceparent.removesuffix("-03")}  # sampled, with a random id


def test_exif_is_read_where_the_plan_wants_it() -> None:
    data = encoded(astronaut(), "JPEG")
    with_exif, without = (
        facade.recognise([ImageInput(data)], Plan(extract_exif=wanted))[0] for wanted in (True, False)
    )
    assert with_exif.exif == {}
    assert without.exif is None


def test_the_engine_starts_again_after_it_was_shut_down() -> None:
    first = facade.engine()
    facade.shut_down()
    assert facade.engine() is not first
    plan = Plan(multiface=MultifacePolicy.BEST)
    assert len(facade.recognise([ImageInput(encoded(astronaut()))], plan)[0].faces) == 1


def test_a_forked_child_makes_an_engine_of_its_own() -> None:
    facade.engine()
    child = os.fork()
    if child == 0:
        result = facade.recognise([ImageInput(encoded(astronaut()))], Plan())[0]
        facade.shut_down()
        os._exit(0 if len(result.faces) == 1 else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_status_names_the_estimators() -> None:
    status: Any = facade.engine_status()
    assert {"face_descriptor", "basic_attributes", "gaze"} <= set(status["estimators"])
    assert "mesh" not in status["estimators"]


def test_the_default_descriptor_version_is_the_engines() -> None:
    assert versions.default("face").version in facade.engine().descriptor_networks()


def test_estimations_are_counted_for_each_face() -> None:
    counted: Counter[str] = Counter()
    plan = Plan(estimators=frozenset({"head_pose", "people_count"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "count_estimations", counted.update)
        facade.recognise([ImageInput(samples()[1]), ImageInput(b"nothing")], plan)
    assert counted == {"estimate_head_pose": 3, "estimate_people_count": 1}
