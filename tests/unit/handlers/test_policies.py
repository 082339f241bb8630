"""Policies: parsing of JSON, rejections, and paths of errors."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from apps.accounts.auth.principal import Principal
from apps.common.config import override_config
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.filters import accepts
from apps.common.times import utc_now
from apps.faces.config import AttributesStoragePolicy
from apps.handlers.config import HandlersLimits
from apps.handlers.pipeline.stages.decide import decide
from apps.handlers.policies import Policies, policies_cached, policies_parse
from apps.handlers.policies.filled import policies_filled
from apps.handlers.policies.match import PolicyCandidates, candidates_account
from apps.recognition.checks.table import CHECKS
from apps.recognition.types import MultifacePolicy
from apps.sender.targets import MqttTopic, Webhook
from tests.unit.handlers.pipeline.runs import make_event, make_person, make_run

LIST_ID = uuid4()
ATTRIBUTES = {"origin": "attributes", "attribute_ids": [str(LIST_ID)]}
EVERYTHING: dict[str, Any] = {
    "detect_policy": {
        "detect_face": 1,
        "detect_body": 1,
        "multiface_policy": 2,
        "detect_landmarks68": 1,
        "extract_exif": 1,
        "estimate_head_pose": 1,
        "estimate_emotions": 1,
        "estimate_mask": 1,
        "estimate_quality": 1,
        "estimate_gaze": 1,
        "estimate_eyes_attributes": 1,
        "estimate_mouth_attributes": 1,
        "estimate_glasses": 1,
        "estimate_people_count": 1,
        "pitch_threshold": 30,
        "roll_threshold": 30.5,
        "yaw_threshold": 0,
        "mask_states": [1, 3],
        "liveness_states": [1],
        "estimate_liveness": {"estimate": 1, "liveness_threshold": 0.3, "quality_threshold": 0.2},
        "estimate_deepfake": {"estimate": 1, "real_threshold": 0.4, "mode": 1, "deepfake_states": [1]},
        "body_attributes": {"estimate_basic_attributes": 1, "estimate_upper_body": 1, "estimate_accessories": 0},
        "face_quality": {
            "estimate": 1,
            "filter": 1,
            "checks": {
                "head_yaw": {"threshold": {"min": -5}},
                "glasses": {"threshold": ["no_glasses"]},
                "red_eyes": {"estimate": 0, "threshold": 1},
            },
        },
    },
    "extract_policy": {
        "extract_face_descriptor": 1,
        "extract_body_descriptor": 1,
        "extract_basic_attributes": 1,
        "fd_score_threshold": 0.5,
    },
    "match_policy": [
        {
            "label": "vip",
            "candidates": {"origin": "faces", "list_id": str(LIST_ID), "create_time__gte": "now-7d"},
            "limit": 5,
            "threshold": 0.7,
            "targets": ["face_id", "similarity"],
            "filters": {"gender": [1], "age__gte": 18},
        },
        {"label": "seen", "candidates": {"origin": "events", "sources": ["door"], "emotions": [4]}},
    ],
    "conditional_tags_policy": [
        {"tag": "known", "filters": {"match": [{"label": "vip", "similarity__gte": 0.9, "similarity__lt": 1}]}}
    ],
    "storage_policy": {
        "face_sample_policy": {"store_sample": 0, "ttl": 30, "filters": {"masks": [1]}},
        "body_sample_policy": {"store_sample": 0, "ttl": -1},
        "image_origin_policy": {
            "store_image": 1,
            "image_format": "png",
            "image_quality": 90,
            "use_external_references": 1,
            "ttl": 7,
            "filters": {},
        },
        "attribute_policy": {"store_attribute": 1, "ttl": 60, "filters": {"liveness": [1], "deepfake": [1]}},
        "face_policy": {
            "store_face": 1,
            "set_sample_as_avatar": 0,
            "link_to_lists_policy": [{"list_id": str(LIST_ID), "filters": {"age__lt": 40}}],
        },
        "event_policy": {"store_event": 0, "wait_saving": 0, "filters": {"ethnic_groups": [1, 2]}},
        "notification_policy": {"send_notification": 0, "filters": {"upper_clothing_colors": [1]}},
        "callbacks": [
            {
                "type": "http",
                "url": "https://example.org/hook?a=b",
                "authorization": {"type": "basic", "login": "user", "password": " secret"},
                "params": {"timeout": 5, "content_type": "application/msgpack", "headers": {"X-Door": "7"}},
                "enable": 1,
                "filters": {"gender": [0]},
            },
            {"type": "luna-ws-notification", "enable": 0},
            {
                "type": "mqtt",
                "url": "mqtts://broker.example.org",
                "authorization": {"type": "basic", "login": "user", "password": "secret"},
                "params": {"topic": "luna/{account_id}/{source}", "qos": 2, "retain": 1},
            },
        ],
    },
}


def estimators(policies: Policies) -> frozenset[str]:
    return policies.recognition_request(use_exif=True, face_warps=True, body_warps=True).plan.estimators


def test_defaults() -> None:
    policies = policies_parse({})
    assert policies == Policies()
    assert policies == policies_parse(
        {name: {} for name in ("detect_policy", "extract_policy", "storage_policy")}
        | {"match_policy": [], "conditional_tags_policy": []}
    )
    assert estimators(policies) == {"face_descriptor"}
    assert policies.detect_policy.multiface_policy is MultifacePolicy.ALL
    storage = policies.storage_policy
    assert (storage.face_sample_policy.store_sample, storage.event_policy.store_event) == (True, True)
    assert storage.notification_policy.send_notification
    assert (storage.face_policy.store_face, storage.attribute_policy.store_attribute) == (False, False)
    assert (storage.image_origin_policy.store_image, storage.attribute_policy.ttl) == (False, None)


def test_the_whole_vocabulary() -> None:
    policies = policies_parse(EVERYTHING)
    detect = policies.detect_policy
    assert detect.shown == {
        "landmarks68", "head_pose", "emotions", "mask", "quality", "gaze", "eyes_attributes", "mouth_attributes",
        "glasses", "liveness", "deepfake", "body_basic_attributes", "upper_body", "face_quality",
    }  # fmt: skip
    assert detect.angles == {"pitch": 30, "roll": 30.5, "yaw": 0}
    assert detect.estimate_liveness.liveness_states == (1,)
    thresholds = detect.face_quality.thresholds
    assert thresholds["head_yaw"].json() == {"min": -5, "max": 180}
    assert thresholds["glasses"].json() == ["no_glasses"]
    assert thresholds["natural_light"] == CHECKS["natural_light"].threshold
    assert set(CHECKS) - set(thresholds) == {"red_eyes"}
    vip, seen = policies.match_policy
    assert (vip.limit, vip.candidates.filters["list_id"], seen.limit) == (5, LIST_ID, 3)
    assert abs(vip.candidates.filters["create_time__gte"] - (utc_now() - timedelta(days=7))) < timedelta(seconds=5)
    assert seen.candidates.filters == {"sources": ["door"], "emotions": [4]}
    storage = policies.storage_policy
    assert storage.face_policy.link_to_lists_policy[0].list_id == LIST_ID
    assert (storage.face_sample_policy.ttl, storage.body_sample_policy.ttl) == (30, -1)
    webhook, websockets, broker = storage.callbacks
    hook, topic = webhook.target, broker.target
    assert isinstance(hook, Webhook)
    assert (hook.url, hook.content_type, hook.timeout_s) == ("https://example.org/hook?a=b", "application/msgpack", 5)
    assert {name: value.reveal() for name, value in hook.headers.items()} == {"X-Door": "7"}
    assert hook.login
    assert hook.password
    assert (hook.login.reveal(), hook.password.reveal()) == ("user", " secret")
    assert (websockets.target, websockets.enable) == (None, False)
    assert isinstance(topic, MqttTopic)
    assert (topic.url, topic.topic) == ("mqtts://broker.example.org", "luna/{account_id}/{source}")
    assert (topic.qos, topic.retain, topic.timeout_s) == (2, True, 60)


def test_filters_that_need_an_estimation_ask_for_it() -> None:
    policies = policies_parse({"detect_policy": {"yaw_threshold": 20, "mask_states": [1]}})
    assert estimators(policies) == {"face_descriptor", "head_pose", "mask"}
    assert policies.detect_policy.shown == frozenset()


def test_a_tag_is_given_by_the_best_candidate_of_a_label() -> None:
    (tag,) = policies_parse(EVERYTHING).conditional_tags_policy
    known = {"match_result": [{"label": "vip", "candidates": [{"similarity": 0.95}, {"similarity": 0.1}]}]}
    assert accepts(tag.filters, known)
    assert not accepts(tag.filters, {"match_result": [{"label": "vip", "candidates": [{"similarity": 0.89}]}]})
    assert not accepts(tag.filters, {"match_result": []})


def with_(path: str, value: Any) -> dict[str, Any]:
    """Policies of one member, `a.b.0.c`."""
    data: Any = value
    for step in reversed(path.split(".")):
        data = [data] if step.isdigit() else {step: data}
    policies: dict[str, Any] = data
    return policies


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("detekt_policy", {}),
        ("detect_policy", []),
        ("detect_policy.detect_face", 2),
        ("detect_policy.detect_face", 0),
        ("detect_policy.multiface_policy", 3),
        ("detect_policy.yaw_threshold", 181),
        ("detect_policy.yaw_threshold", "NaN"),
        ("detect_policy.mask_states", []),
        ("detect_policy.mask_states", [4]),
        ("detect_policy.estimate_liveness.quality_threshold", 1.1),
        ("detect_policy.estimate_deepfake.mode", 3),
        ("detect_policy.body_attributes.estimate_hat", 1),
        ("detect_policy.face_quality.checks.nose", {}),
        ("detect_policy.face_quality.checks.glasses.threshold", ["monocle"]),
        ("detect_policy.face_quality.checks.head_yaw.threshold", {"min": 1, "max": 0}),
        ("detect_policy.face_quality.checks.head_yaw.threshold", {"min": -181}),
        ("detect_policy.face_quality.checks.head_yaw.threshold", {"min": 181}),
        ("detect_policy.face_quality.checks.dark_quality.threshold", {"max": 1.1}),
        ("detect_policy.face_quality.checks.image_width.threshold", {"max": -1}),
        ("detect_policy.face_quality.checks.image_width.threshold", {"min": "NaN"}),
        ("detect_policy.face_quality.checks.red_eyes.threshold", 2),
        ("extract_policy.fd_score_threshold", -0.1),
        ("match_policy", {}),
        ("match_policy.0.label", "x" * 37),
        ("match_policy.0.candidates", 7),
        ("conditional_tags_policy.0.tag", ""),
        ("conditional_tags_policy.0", {"tag": "a", "filters": {"emotions": []}}),
        ("conditional_tags_policy.0", {"tag": "a", "filters": {"match": [{"similarity__gte": 0.5}]}}),
        ("storage_policy.face_sample_policy.ttl", 8),
        ("storage_policy.attribute_policy.ttl", 86401),
        ("storage_policy.face_policy.link_to_lists_policy.0.list_id", "none"),
        ("storage_policy.image_origin_policy.image_format", "gif"),
        ("storage_policy.callbacks.0", {}),
        ("storage_policy.callbacks.0", {"type": "telegram"}),
        ("storage_policy.callbacks.0", {"type": "http"}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "ftp://example.org/"}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "http://a/", "params": {"timeout": 61}}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "http://a/", "params": {"headers": {"Host": "b"}}}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "http://a/", "params": {"headers": {"A": "b\r\nC: d"}}}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "http://a/", "params": {"headers": {"A b": "c"}}}),
        (
            "storage_policy.callbacks.0",
            {"type": "http", "url": "http://a/", "params": {"headers": {"Webhook-Id": "c"}}},
        ),
        ("storage_policy.callbacks.0", {"type": "http", "url": "http://a/", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "http", "url": "mqtt://a/", "params": {}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a"}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "http://a", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a/b", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a:0", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a:b", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://u:p@a", "params": {"topic": "a"}}),
        ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a", "params": {"topic": "a", "qos": 3}}),
        (
            "storage_policy.callbacks.0",
            {"type": "mqtt", "url": "mqtt://a", "params": {"topic": "a", "headers": {"A": "b"}}},
        ),
        *(
            ("storage_policy.callbacks.0", {"type": "mqtt", "url": "mqtt://a", "params": {"topic": topic}})
            for topic in ("", "a/+", "a/#", "$SYS/a", "a\n", "a\x7f", "{person}", "{source", "x" * 513)
        ),
    ],
)
def test_refused_with_its_path(path: str, value: Any) -> None:
    with pytest.raises(LunaError) as caught:
        policies_parse(with_(path, value))
    assert caught.value.code == 12027
    assert f"'policies.{path.split('.')[0]}" in caught.value.detail


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"candidates": {}}, "label"),
        ({"label": "a"}, "candidates"),
        ({"label": "a", "candidates": {"origin": "people"}}, "candidates.origin"),
        ({"label": "a", "candidates": {"origin": "attributes"}}, "candidates.attribute_ids"),
        ({"label": "a", "candidates": ATTRIBUTES, "targets": ["external_id"]}, "targets"),
        ({"label": "a", "candidates": ATTRIBUTES, "descriptor": "body"}, "descriptor"),
        ({"label": "a", "candidates": {"list_ids": []}}, "candidates.list_ids"),
        ({"label": "a", "candidates": {"origin": "events", "list_id": str(LIST_ID)}}, "candidates.list_id"),
        ({"label": "a", "candidates": {"face_ids": [str(LIST_ID)] * 1001}}, "candidates.face_ids"),
        ({"label": "a", "candidates": {"create_time__gte": "now-7x"}}, "candidates.create_time__gte"),
        ({"label": "a", "candidates": {}, "limit": 101}, "limit"),
        ({"label": "a", "candidates": {}, "limit": 0}, "limit"),
        ({"label": "a", "candidates": {}, "threshold": 1.01}, "threshold"),
        ({"label": "a", "candidates": {}, "targets": ["shoe"]}, "targets"),
    ],
)
def test_match_policies_refused_with_their_path(item: Any, path: str) -> None:
    with pytest.raises(LunaError) as caught:
        policies_parse({"match_policy": [item]})
    assert caught.value.detail.endswith(f"Path: 'policies.match_policy.0.{path}'")


@pytest.mark.parametrize("policies", [None, 7, "x", [], [{}]])
def test_policies_are_an_object(policies: Any) -> None:
    with pytest.raises(LunaError) as caught:
        policies_parse(policies)
    assert caught.value.code == 12027


def test_matching_needs_a_descriptor() -> None:
    with pytest.raises(LunaError) as caught:
        policies_parse(
            {"extract_policy": {"extract_face_descriptor": 0}, "match_policy": [{"label": "a", "candidates": {}}]}
        )
    assert caught.value.code == 12027


def test_candidates_of_another_account() -> None:
    own, other = uuid4(), UUID(int=1)
    user = Principal(own, "user", "u")
    assert candidates_account(PolicyCandidates(origin="faces"), user) == own
    assert candidates_account(PolicyCandidates(origin="faces", account_id=own), user) == own
    with pytest.raises(LunaError) as caught:
        candidates_account(PolicyCandidates(origin="faces", account_id=other), user)
    assert caught.value.code == 11069
    admin = Principal(own, "admin", "a", visibility_area="all")
    assert candidates_account(PolicyCandidates(origin="faces", account_id=other), admin) == other


def test_equal_policies_are_parsed_once() -> None:
    first, second = ({"match_policy": [{"label": "once", "candidates": {"origin": "faces"}}]} for _ in range(2))
    assert policies_cached(first) is policies_cached(second)
    assert policies_cached(first) == policies_parse(first)
    assert policies_cached(first) is not policies_cached({"match_policy": []})


def test_relative_times_are_parsed_each_time() -> None:
    policies = {"match_policy": [{"label": "a", "candidates": {"create_time__gte": "now-1d"}}]}
    assert policies_cached(policies) is not policies_cached(policies)


def test_a_cached_error_stays_an_error() -> None:
    for _ in range(2):
        with pytest.raises(LunaError) as caught:
            policies_cached({"match_policy": 1})
        assert caught.value.code == 12027


def test_a_lowered_setting_keeps_stored_policies_readable() -> None:
    """Policies of a client obey the settings; stored ones are read, and their use obeys the settings."""
    given = {
        "match_policy": [{"label": "vip", "candidates": {}, "limit": 50}],
        "storage_policy": {"attribute_policy": {"store_attribute": 1, "ttl": 600}},
    }
    policies_parse(given)
    with (
        override_config(HandlersLimits, result_candidate_limit=10),
        override_config(AttributesStoragePolicy, default_ttl=30, max_ttl=60),
    ):
        with pytest.raises(LunaError) as refused:
            policies_parse(given)
        assert refused.value.code == 12027
        stored = policies_cached(given, stored=True)
        assert (stored.match_policy[0].limit, stored.storage_policy.attribute_policy.ttl) == (50, 600)
        filled = policies_filled({})
        assert filled is not None
        assert filled["storage_policy"]["attribute_policy"]["ttl"] == 30
        event = make_event(make_person(), descriptor=Descriptor(1, np.ones(2, np.float32)))
        (event,) = decide(replace(make_run(events=(event,)), policies=stored)).events
        assert event.decision.attribute_ttl_s == 60
