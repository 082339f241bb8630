"""What clients that others wrote read in generated and stored events, in frames and callbacks, and send in policies."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.config import OutgoingRequests, override_config
from apps.handlers.policies import policies_parse
from apps.sender.services import message_frame
from tests.api.handlers.deliveries import deliver_all
from tests.api.handlers.helpers import JPEG, JSON, astronaut, make_handler, sample
from tests.api.handlers.requests import error_of, generate, generate_form
from tests.api.handlers.webhooks import Received
from tests.factories import basic_client, make_account, make_event

pytestmark = pytest.mark.django_db

ALL_TARGETS = (
    "account_id", "create_time", "end_time", "event_id", "handler_id", "external_id", "source", "stream_id",
    "top_match", "match_result", "face_detections", "face_id", "attach_result", "gender", "age", "emotion",
    "ethnic_group", "liveness", "deepfake", "body_detections", "body_basic_attributes", "upper_body", "lower_body",
    "accessories", "tags", "user_data", "location", "mask", "track_id", "meta",
)  # fmt: skip
BODIES = {
    "detect_body": 1,
    "body_attributes": dict.fromkeys(
        ("estimate_basic_attributes", "estimate_upper_body", "estimate_lower_body", "estimate_accessories"), 1
    ),
}


Delivering = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def delivering() -> Delivering:
    """What is stored inside is delivered behind it."""

    @contextmanager
    def until_delivered() -> Iterator[None]:
        with override_config(OutgoingRequests, allow_private_urls=True):
            yield
            deliver_all()

    return until_delivered


def match_events(**policy: Any) -> dict[str, Any]:
    return {"match_policy": [{"label": "seen", "candidates": {"origin": "events"}, **policy}]}


class TestTopMatch:
    KEYS = frozenset({"label", "similarity", "face_id", "event_id", "external_id"})

    def test_of_a_face_in_answer_storage_and_callback(
        self,
        client: Client,
        hook: tuple[str, list[Received]],
        delivering: Delivering,
    ) -> None:
        url, received = hook
        enroller = make_handler(client, {"storage_policy": {"face_policy": {"store_face": 1}}})
        (known,) = generate(client, enroller, astronaut(), query="?external_id=ada")["events"]
        policies = {
            "match_policy": [{"label": "vip", "candidates": {"origin": "faces"}}],
            "storage_policy": {"callbacks": [{"type": "http", "url": url}]},
        }
        with delivering():
            (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        top = event["top_match"]
        assert top.keys() == self.KEYS
        assert (top["face_id"], top["event_id"], top["external_id"]) == (known["face"]["face_id"], None, "ada")
        assert client.get(event["url"]).json()["top_match"] == top
        assert orjson.loads(received[0].body)["event"]["top_match"] == top

    def test_of_an_event(self, client: Client) -> None:
        (first,) = generate(client, make_handler(client), astronaut())["events"]
        (event,) = generate(client, make_handler(client, match_events()), astronaut())["events"]
        assert (event["top_match"]["face_id"], event["top_match"]["event_id"]) == (None, first["event_id"])
        assert client.get(event["url"]).json()["top_match"] == event["top_match"]

    def test_is_null_without_a_match(self, client: Client) -> None:
        (event,) = generate(client, make_handler(client), astronaut())["events"]
        assert event["top_match"] is None
        assert client.get(event["url"]).json()["top_match"] is None


class TestFrames:
    KEYS = frozenset(
        {
            "event", "handler_id", "event-create-time", "event-end-time", "event_create_time", "event_end_time",
            "Luna-Request-id", "Luna-Request-Id",
        }
    )  # fmt: skip

    def test_callbacks_have_every_spelling_of_the_keys(
        self,
        client: Client,
        hook: tuple[str, list[Received]],
        delivering: Delivering,
    ) -> None:
        """Websockets send the same frame: `message_frame` is made for both."""
        url, received = hook
        path = make_handler(client, {"storage_policy": {"callbacks": [{"type": "http", "url": url}]}})
        times = {"Luna-Event-Time": "2026-01-02T03:04:05Z", "Luna-Event-End-Time": "2026-01-02T03:04:06Z"}
        with delivering():
            generate(client, path, astronaut(), **times)
        frame = orjson.loads(received[0].body)
        assert frame.keys() == self.KEYS
        assert frame["event-create-time"] == frame["event_create_time"] == "2026-01-02T03:04:05.000000Z"
        assert frame["event-end-time"] == frame["event_end_time"] == "2026-01-02T03:04:06.000000Z"
        assert frame["Luna-Request-id"] == frame["Luna-Request-Id"]
        assert message_frame({"event": {}}).keys() == {"event", "Luna-Request-id", "Luna-Request-Id"}


class TestMatchedEvents:
    def test_carry_their_end_time_and_their_own_matches(self, client: Client) -> None:
        times = {"Luna-Event-Time": "2026-01-02T03:04:05Z", "Luna-Event-End-Time": "2026-01-02T03:04:06Z"}
        generate(client, make_handler(client), astronaut(), **times)
        matching = make_handler(client, match_events(limit=1))
        (second,) = generate(client, matching, astronaut())["events"]
        candidates = {"origin": "events", "event_ids": [second["event_id"]]}
        (third,) = generate(client, make_handler(client, match_events(candidates=candidates)), astronaut())["events"]
        (first,) = second["matches"][0]["candidates"]
        assert first["event"]["end_time"] == "2026-01-02T03:04:06.000000Z"
        assert (first["event"]["match_result"], first["event"]["top_match"]) == ([], None)
        (again,) = third["matches"][0]["candidates"]
        assert again["event"]["top_match"] == second["top_match"]
        (nested,) = again["event"]["match_result"][0]["candidates"]
        assert nested["event"]["event_id"] == first["event"]["event_id"]

    def test_stored_events_nest_no_matches(self, client: Client) -> None:
        """Each would hold those before it, and the last one all."""
        for _ in range(3):
            (event,) = generate(client, make_handler(client, match_events()), astronaut())["events"]
        stored = client.get(event["url"]).json()["match_result"]
        assert all({"match_result", "top_match"}.isdisjoint(each["event"]) for each in stored[0]["candidates"])
        assert len(stored[0]["candidates"]) == 2

    def test_every_member_may_be_a_target(self, client: Client) -> None:
        generate(client, make_handler(client), astronaut())
        path = make_handler(client, match_events(targets=[*ALL_TARGETS, "similarity"]))
        (event,) = generate(client, path, astronaut())["events"]
        assert set(event["matches"][0]["candidates"][0]["event"]) == set(ALL_TARGETS)
        assert error_of(client.post("/6/handlers", {"policies": match_events(targets=["colour"])}, JSON)) == (
            400,
            12027,
        )


class TestBodies:
    FORM = {
        "basic_attributes": {"apparent_age", "apparent_gender"},
        "upper_body": {"headwear", "sleeve", "upper_clothing"},
        "lower_body": {"lower_garment", "shoes"},
        "accessories": {"backpack"},
    }

    def check(self, attributes: Any) -> None:
        assert {name: set(block) for name, block in attributes.items()} == self.FORM
        assert attributes["basic_attributes"]["apparent_gender"] in (0, 1, 2)
        assert attributes["upper_body"]["headwear"].keys() == {"state", "apparent_color"}
        assert attributes["upper_body"]["headwear"]["state"] in (0, 1, 2)
        assert attributes["upper_body"]["sleeve"]["length"] in ("short", "long", "unknown")
        assert attributes["upper_body"]["upper_clothing"]["colors"][0] == "orange"
        assert attributes["accessories"] == {"backpack": {"state": attributes["accessories"]["backpack"]["state"]}}

    def test_generated_events_have_the_stored_form(self, client: Client) -> None:
        (event,) = generate(client, make_handler(client, {"detect_policy": BODIES}), astronaut())["events"]
        attributes = event["detections"][0]["samples"]["body"]["detection"]["attributes"]
        self.check(attributes)
        stored = client.get(event["url"]).json()
        assert attributes["basic_attributes"] == stored["body_basic_attributes"]
        assert {name: attributes[name] for name in ("upper_body", "lower_body", "accessories")} == {
            name: stored[name] for name in ("upper_body", "lower_body", "accessories")
        }

    def test_aggregated_ones_too(self, client: Client) -> None:
        path = make_handler(client, {"detect_policy": BODIES})
        answer = generate_form(client, path, query="?aggregate_attributes=1", a=astronaut(), b=astronaut()).json()
        (event,) = answer["events"]
        self.check(event["aggregate_estimations"]["body"]["attributes"])

    def test_several_bodies_cannot_be_aggregated(self, client: Client) -> None:
        for policy, expected in ((1, (400, 34008)), (2, None)):
            path = make_handler(
                client, {"detect_policy": {"detect_face": 0, "detect_body": 1, "multiface_policy": policy}}
            )
            files = {"image": SimpleUploadedFile("a.jpg", sample(6), JPEG)}
            answer = client.post(f"{path}/events?aggregate_attributes=1", files)
            assert (error_of(answer) if expected else answer.status_code) == (expected or 201)


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "columns"),
        [
            ("sleeve_lengths=short", {"sleeve_length": 0}), ("sleeve_lengths=0", {"sleeve_length": 0}),
            ("sleeve_lengths=undefined,long", {"sleeve_length": 2}),
            ("upper_clothing_colors=black,red", {"upper_clothing_colors": [3, 7]}),
            ("upper_clothing_colors=1", {"upper_clothing_colors": [1]}),
            ("lower_garment_types=trousers", {"lower_garment_type": 1}),
            ("lower_garment_colors=multicolored", {"lower_garment_colors": [14]}),
            ("shoes_apparent_colors=other", {"shoes_apparent_color": 3}),
            ("headwear_apparent_colors=white", {"headwear_apparent_color": 1}),
            ("headwear_states=1", {"headwear_state": 1}), ("backpack_states=0", {"backpack_state": 0}),
        ],
    )  # fmt: skip
    def test_of_bodies_take_words_and_numbers(
        self, account: Account, client: Client, query: str, columns: dict[str, Any]
    ) -> None:
        wanted = make_event(account, **columns)
        make_event(account)
        answer = client.get(f"/6/events?create_time__gte=2000-01-01T00:00:00Z&{query}").json()
        assert [event["event_id"] for event in answer["events"]] == [str(wanted.event_id)]

    def test_in_policies_too(self) -> None:
        filters = {"sleeve_lengths": ["short", 1], "upper_clothing_colors": ["black"], "lower_garment_types": "skirt"}
        (tag,) = policies_parse(
            {"conditional_tags_policy": [{"tag": "a", "filters": filters}]}
        ).conditional_tags_policy  # fmt: skip
        assert tag.filters == {"sleeve_lengths": [0, 1], "upper_clothing_colors": [1], "lower_garment_types": [3]}

    @pytest.mark.parametrize("query", ["sleeve_lengths=shorter", "sleeve_lengths=3", "headwear_states=SHORT"])
    def test_other_words_are_refused(self, client: Client, query: str) -> None:
        assert error_of(client.get(f"/6/events?{query}")) == (400, 12012)


class TestEvents:
    def test_one_that_is_missing(self, client: Client) -> None:
        assert error_of(client.get(f"/6/events/{uuid4()}")) == (404, 23001)

    @pytest.mark.parametrize("target", ALL_TARGETS)
    def test_targets(self, account: Account, client: Client, target: str) -> None:
        event = make_event(account)
        assert set(client.get(f"/6/events/{event.event_id}?targets={target}").json()) == {target}


class TestDeepfakeStates:
    def test_beside_and_inside(self) -> None:
        for detect in (
            {"deepfake_states": [1]}, {"estimate_deepfake": {"deepfake_states": [1]}},
            {"deepfake_states": [1], "estimate_deepfake": {"estimate": 1, "deepfake_states": [1]}},
        ):  # fmt: skip
            policies = policies_parse({"detect_policy": detect})
            assert policies.detect_policy.estimate_deepfake.deepfake_states == (1,)

    def test_two_that_differ_are_refused(self, client: Client) -> None:
        detect = {"deepfake_states": [1], "estimate_deepfake": {"deepfake_states": [0]}}
        assert error_of(client.post("/6/handlers", {"policies": {"detect_policy": detect}}, JSON)) == (400, 12027)


class TestOriginOfSamples:
    POLICIES = {"image_origin_policy": {"store_image": 1, "use_external_references": 1}}

    @pytest.fixture
    def warp(self, client: Client) -> tuple[str, bytes]:
        (event,) = generate(client, make_handler(client), astronaut())["events"]
        block = event["detections"][0]["samples"]["face"]
        return block["sample_id"], client.get(block["url"]).content

    def test_a_sample_that_is_sent_is_stored_once(self, client: Client, warp: tuple[str, bytes]) -> None:
        path = make_handler(client, {"storage_policy": self.POLICIES})
        (event,) = generate(client, path, warp[1], query="?image_type=1")["events"]
        (detection,) = event["detections"]
        assert detection["image_origin"] == detection["samples"]["face"]["url"]

    def test_a_stored_sample_is_named(self, client: Client, warp: tuple[str, bytes]) -> None:
        path = make_handler(client, {"storage_policy": self.POLICIES})
        (event,) = generate(client, path, {"samples": [warp[0]]}, JSON)["events"]
        assert event["detections"][0]["image_origin"] == f"/6/samples/faces/{warp[0]}"

    def test_without_a_sample_the_image_is_stored(self, client: Client, warp: tuple[str, bytes]) -> None:
        policies = {**self.POLICIES, "face_sample_policy": {"store_sample": 0}}
        path = make_handler(client, {"storage_policy": policies})
        (event,) = generate(client, path, warp[1], query="?image_type=1")["events"]
        assert event["detections"][0]["image_origin"].startswith("/6/images/")


class TestHandlers:
    def test_answer_with_defaults_filled_in(self, client: Client) -> None:
        policies = {
            "detect_policy": {"estimate_quality": 1, "yaw_threshold": None, "mask_states": [1]},
            "match_policy": [{"label": "vip", "candidates": {"list_id": str(uuid4()), "user_data": None}}],
            "storage_policy": {
                "face_policy": {"store_face": 1, "link_to_lists_policy": [{"list_id": str(uuid4())}]},
                "callbacks": [{"type": "mqtt", "url": "mqtt://broker", "params": {"topic": "a"}}],
            },
        }
        path = make_handler(client, policies)
        shown = client.get(path).json()["policies"]
        detect = shown["detect_policy"]
        assert (detect["estimate_quality"], detect["estimate_emotions"], detect["yaw_threshold"]) == (1, 0, 180)
        assert (detect["multiface_policy"], detect["mask_states"], detect["detect_face"]) == (1, [1], 1)
        assert shown["extract_policy"]["extract_face_descriptor"] == 1
        (match,) = shown["match_policy"]
        assert (match["limit"], match["threshold"], match["candidates"]["origin"]) == (3, 0, "faces")
        storage = shown["storage_policy"]
        assert (storage["event_policy"]["store_event"], storage["attribute_policy"]["ttl"]) == (1, 300)
        assert storage["face_policy"]["link_to_lists_policy"][0]["filters"] == {}
        common = {"timeout": 60, "content_type": JSON}
        assert storage["callbacks"][0]["params"] == {"topic": "a", "qos": 1, "retain": 0, **common}
        assert client.get("/6/handlers").json()["handlers"][0]["policies"] == shown
        assert client.put(path, {"policies": shown}, JSON).status_code == 204
        assert client.get(path).json()["policies"] == shown

    def test_what_they_show_means_the_same(self, client: Client) -> None:
        policies = {"match_policy": [{"label": "a", "candidates": {"origin": "events"}}], "detect_policy": BODIES}
        policies["storage_policy"] = {"attribute_policy": {"ttl": 300}}  # without it, the setting of the moment applies
        shown = client.get(make_handler(client, policies)).json()["policies"]
        assert policies_parse(shown) == policies_parse(policies)

    def test_dynamic_ones_match_within_their_account_only(self) -> None:
        client = basic_client(make_account(AccountType.ADVANCED_USER))
        foreign = str(make_account().account_id)
        path = make_handler(client, "dynamic", handler_type=1)
        for account_id, status in ((foreign, 403), (None, 201)):
            policies = match_events(candidates={"origin": "events", "account_id": account_id})
            answer = generate_form(client, path, a=astronaut(), policies=policies)
            assert answer.status_code == status
        assert make_handler(client, match_events(candidates={"origin": "events", "account_id": foreign}))
