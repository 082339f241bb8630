"""POST /6/handlers/{id}/events: detections, responses and stored rows, with real photographs and networks."""

import io
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.test import Client
from PIL import Image

from apps.accounts.models import Account
from apps.events.models import Event, EventDescriptor
from apps.faces.models import FaceDescriptor
from apps.recognition.checks.table import CHECKS
from apps.recognition.config import MissingNetworks
from tests.api.handlers.helpers import JPEG, astronaut, make_handler, nobody, sample
from tests.api.handlers.requests import Count, error_of, generate, make_list

pytestmark = pytest.mark.django_db


class TestOneFace:
    def test_by_default_event_and_sample_are_stored(self, client: Client, account: Account, stored: Count) -> None:
        before = stored()
        body = generate(client, make_handler(client), astronaut())
        (image,) = body["images"]
        assert (image["status"], image["error"]["error_code"], image["exif"]) == (1, 0, None)
        (event,) = body["events"]
        assert event["face"] is None
        assert event["matches"] == []
        assert body["filtered_detections"] == {"face_detections": [], "body_detections": []}
        after = stored()
        assert (after.events - before.events, after.event_descriptors - before.event_descriptors) == (1, 1)
        assert (after.faces, after.keys) == (before.faces, before.keys)
        assert (after.objects - before.objects, after.files - before.files) == (1, 2)
        row = Event.objects.for_account(account.account_id).get(event_id=event["event_id"])
        assert row.face_detections[0]["sample_id"] == event["detections"][0]["samples"]["face"]["sample_id"]

    def test_the_event_can_be_read(self, client: Client) -> None:
        handler = make_handler(client)
        (event,) = generate(client, handler, astronaut())["events"]
        read = client.get(event["url"]).json()
        assert read["event_id"] == event["event_id"]
        assert read["handler_id"] == handler.rsplit("/", 1)[1]
        rect = event["detections"][0]["samples"]["face"]["detection"]["rect"]
        assert read["face_detections"][0]["detection"]["rect"] == rect

    def test_the_sample_is_a_warp(self, client: Client) -> None:
        (event,) = generate(client, make_handler(client), astronaut())["events"]
        sample_block = event["detections"][0]["samples"]["face"]
        assert event["face_attributes"]["samples"] == [sample_block["sample_id"]]
        answer = client.get(sample_block["url"])
        assert answer.headers["Content-Type"] == JPEG
        assert Image.open(io.BytesIO(answer.getvalue())).size == (250, 250)

    def test_estimations_that_are_asked_for(self, client: Client, account: Account) -> None:
        flags = ("head_pose", "emotions", "quality", "gaze", "eyes_attributes", "mouth_attributes", "eye_distance")
        detect = {f"estimate_{flag}": 1 for flag in flags} | {"detect_landmarks68": 1}
        policies = {"detect_policy": detect, "extract_policy": {"extract_basic_attributes": 1}}
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        detection = event["detections"][0]["samples"]["face"]["detection"]
        assert set(detection["attributes"]) == set(flags) - {"quality"}
        assert set(detection["quality"]) == {"blurriness", "dark", "illumination", "specularity", "light"}
        assert (len(detection["landmarks5"]), len(detection["landmarks68"])) == (5, 68)
        assert event["face_attributes"]["basic_attributes"]["gender"] == 0
        row = Event.objects.for_account(account.account_id).get()
        assert (row.gender, row.emotion) == (0, 4)
        assert row.age == event["face_attributes"]["basic_attributes"]["age"]

    def test_estimations_that_only_filters_need_are_not_shown(self, client: Client) -> None:
        handler = make_handler(client, {"detect_policy": {"yaw_threshold": 90}})
        (event,) = generate(client, handler, astronaut())["events"]
        assert event["detections"][0]["samples"]["face"]["detection"]["attributes"] == {}

    def test_parameters(self, client: Client, account: Account) -> None:
        stream = str(uuid4())
        query = (
            "?external_id=e-1&user_data=some%20text&source=door&tags=a,b,a&track_id=t1&city=Omsk&area=A&district=D"
            f"&street=S&house_number=1b&longitude=36.6&latitude=-55.7&stream_id={stream}"
        )
        times = {"Luna-Event-Time": "2024-01-02T03:04:05+03:00", "Luna-Event-End-Time": "2024-01-02T01:00:00Z"}
        handler = make_handler(client, {"storage_policy": {"face_policy": {"store_face": 1}}})
        (event,) = generate(client, handler, astronaut(), query=query, **times)["events"]
        assert (event["source"], event["track_id"], event["stream_id"]) == ("door", "t1", stream)
        assert event["tags"] == ["a", "b"]
        assert event["location"] == {
            "city": "Omsk", "area": "A", "district": "D", "street": "S", "house_number": "1b",
            "geo_position": {"longitude": 36.6, "latitude": -55.7},
        }  # fmt: skip
        assert (event["face"]["external_id"], event["face"]["user_data"]) == ("e-1", "some text")
        row = Event.objects.for_account(account.account_id).get()
        assert row.create_time.isoformat() == "2024-01-02T00:04:05+00:00"
        assert row.end_time.isoformat() == "2024-01-02T01:00:00+00:00"
        assert (row.city, row.longitude, row.external_id) == ("Omsk", 36.6, "e-1")

    def test_a_face_with_everything(self, client: Client, account: Account, stored: Count) -> None:
        before = stored()
        lists = [make_list(client), make_list(client)]
        links = [{"list_id": lists[0]}, {"list_id": lists[1], "filters": {"gender": [1]}}]
        policies = {
            "extract_policy": {"extract_basic_attributes": 1},
            "storage_policy": {
                "face_policy": {"store_face": 1, "link_to_lists_policy": links},
                "attribute_policy": {"store_attribute": 1, "ttl": 60},
            },
        }
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        sample_url = event["detections"][0]["samples"]["face"]["url"]
        face = event["face"]
        assert (face["avatar"], face["event_id"], face["lists"]) == (sample_url, event["event_id"], [lists[0]])
        read = client.get(face["url"]).json()
        assert (read["avatar"], read["event_id"], read["lists"]) == (sample_url, event["event_id"], [lists[0]])
        assert client.get(event["face_attributes"]["url"]).json()["basic_attributes"]["gender"] == 0
        row = Event.objects.for_account(account.account_id).get()
        assert (str(row.face_id), [str(each) for each in row.attach_result]) == (face["face_id"], [lists[0]])
        after = stored()
        assert (after.faces - before.faces, after.face_descriptors - before.face_descriptors) == (1, 1)
        assert (after.links - before.links, after.keys - before.keys) == (1, 1)
        of_event, of_face = (
            EventDescriptor.objects.get(event=row),
            FaceDescriptor.objects.get(face__face_id=row.face_id),
        )
        assert np.array_equal(of_event.vector, of_face.vector)

    def test_nothing_is_stored_when_nothing_is_wanted(self, client: Client, stored: Count) -> None:
        nothing = {
            "face_sample_policy": {"store_sample": 0},
            "event_policy": {"store_event": 0},
            "notification_policy": {"send_notification": 0},
        }
        handler = make_handler(client, {"storage_policy": nothing})
        before = stored()
        (event,) = generate(client, handler, astronaut())["events"]
        assert event["detections"][0]["samples"]["face"]["sample_id"] is None
        assert stored() == before

    def test_what_is_stored_depends_on_filters(self, client: Client, stored: Count) -> None:
        men, women = {"gender": [1]}, {"gender": [0]}
        policies = {
            "extract_policy": {"extract_basic_attributes": 1},
            "conditional_tags_policy": [{"tag": "man", "filters": men}, {"tag": "woman", "filters": women}],
            "storage_policy": {
                "face_sample_policy": {"filters": men},
                "face_policy": {"store_face": 1, "filters": women},
                "event_policy": {"filters": men},
            },
        }
        before = stored()
        (event,) = generate(client, make_handler(client, policies), astronaut())["events"]
        after = stored()
        assert event["tags"] == ["woman"]
        assert event["face"]["avatar"] is None
        assert (after.events, after.objects, after.faces) == (before.events, before.objects, before.faces + 1)

    def test_exif_is_read_on_demand(self, client: Client) -> None:
        exif = Image.Exif()
        exif[0x010F] = "Camera maker"
        buffer = io.BytesIO()
        Image.open(io.BytesIO(astronaut())).save(buffer, "JPEG", exif=exif)
        handler = make_handler(client, {"detect_policy": {"extract_exif": 1}})
        assert generate(client, handler, buffer.getvalue())["images"][0]["exif"]["make"] == "Camera maker"

    def test_a_warp_as_input(self, client: Client) -> None:
        (first,) = generate(client, make_handler(client), astronaut())["events"]
        warp = client.get(first["detections"][0]["samples"]["face"]["url"]).getvalue()
        for query in ("?image_type=1", "?warped_image=1"):
            (event,) = generate(client, make_handler(client), warp, query=query)["events"]
            assert event["face_attributes"]["score"] > 0.9
        assert error_of(client.post(f"{make_handler(client)}/events?image_type=1", astronaut(), JPEG)) == (400, 11030)

    def test_stages_are_timed(self, client: Client) -> None:
        answer = client.post(f"{make_handler(client)}/events", astronaut(), JPEG)
        names = {part.split(";")[0].strip() for part in answer.headers["Server-Timing"].split(",")}
        assert {"recognise", "match", "store", "image.networks", "image.decode"} <= names


class TestSeveralFaces:
    def test_an_event_for_each(self, client: Client, stored: Count) -> None:
        before = stored()
        policies = {"storage_policy": {"face_policy": {"store_face": 1}}}
        events = generate(client, make_handler(client, policies), sample(1))["events"]
        after = stored()
        assert len(events) >= 3
        assert len({event["event_id"] for event in events}) == len(events)
        assert (
            after.events - before.events == after.faces - before.faces == after.objects - before.objects == len(events)
        )

    def test_not_allowed(self, client: Client, stored: Count) -> None:
        handler = make_handler(client, {"detect_policy": {"multiface_policy": 0}})
        before = stored()
        answer = client.post(f"{handler}/events", sample(1), JPEG)
        assert error_of(answer) == (400, 11038)
        assert "raw_image" in answer.json()["detail"]
        assert stored() == before
        assert len(generate(client, handler, astronaut())["events"]) == 1

    def test_the_best_only(self, client: Client) -> None:
        handler = make_handler(client, {"detect_policy": {"multiface_policy": 2}})
        assert len(generate(client, handler, sample(1))["events"]) == 1

    def test_as_many_statements_as_for_one_face(self, client: Client, django_assert_max_num_queries: Any) -> None:
        list_id = make_list(client)
        links = [{"list_id": list_id}]
        face_policy = {"store_face": 1, "link_to_lists_policy": links}
        handler = make_handler(client, {"storage_policy": {"face_policy": face_policy}})
        with django_assert_max_num_queries(100) as one:
            assert len(generate(client, handler, astronaut())["events"]) == 1
        with django_assert_max_num_queries(len(one)):
            assert len(generate(client, handler, sample(1))["events"]) >= 3

    def test_nobody(self, client: Client, stored: Count) -> None:
        handler = make_handler(client)
        before = stored()
        body = generate(client, handler, nobody())
        assert body["images"][0]["status"] == 1
        assert body["events"] == []
        assert body["filtered_detections"]["face_detections"] == []
        assert stored() == before


class TestScreening:
    def test_what_is_filtered_is_reported_and_not_stored(self, client: Client, stored: Count) -> None:
        handler = make_handler(client, {"detect_policy": {"roll_threshold": 0.5, "yaw_threshold": 60}})
        before = stored()
        body = generate(client, handler, astronaut())
        assert body["events"] == []
        (filtered,) = body["filtered_detections"]["face_detections"]
        (reason,) = filtered["filter_reasons"]
        assert (reason["filter_name"], reason["threshold_value"]) == ("roll_threshold", 0.5)
        assert abs(reason["object_value"]) > 0.5
        assert set(filtered["detection"]["sample"]["detection"]["rect"]) == {"x", "y", "width", "height"}
        assert stored() == before

    def test_descriptors_of_low_score(self, client: Client) -> None:
        handler = make_handler(client, {"extract_policy": {"fd_score_threshold": 1}})
        (filtered,) = generate(client, handler, astronaut())["filtered_detections"]["face_detections"]
        assert filtered["filter_reasons"][0]["filter_name"] == "fd_score_threshold"

    def test_image_checks_are_answered(self, client: Client) -> None:
        checks = {"head_yaw": {"threshold": {"min": -90, "max": 90}}, "glasses": {"estimate": 0}}
        handler = make_handler(client, {"detect_policy": {"face_quality": {"estimate": 1, "checks": checks}}})
        (event,) = generate(client, handler, astronaut())["events"]
        block = event["detections"][0]["samples"]["face"]["detection"]["face_quality"]
        found = {check["name"]: check for check in block["checks"]}
        assert set(CHECKS) - set(found) == {"glasses"}
        assert found["head_yaw"]["threshold_value"] == {"min": -90, "max": 90}
        assert found["head_yaw"]["result"] == 1
        assert block["status"] == int(all(check["result"] for check in block["checks"]))

    @pytest.mark.parametrize(("lowest_px", "passes"), [(10, True), (10_000, False)])
    def test_image_checks_filter(self, client: Client, stored: Count, lowest_px: int, passes: bool) -> None:
        checks: dict[str, Any] = {name: {"estimate": 0} for name in CHECKS}
        checks["eye_distance"] = {"threshold": {"min": lowest_px}}
        quality = {"estimate": 1, "filter": 1, "checks": checks}
        handler = make_handler(client, {"detect_policy": {"face_quality": quality}})
        before = stored()
        body = generate(client, handler, astronaut())
        assert len(body["events"]) == int(passes)
        filtered = body["filtered_detections"]["face_detections"]
        names = [reason["filter_name"] for each in filtered for reason in each["filter_reasons"]]
        assert names == ([] if passes else ["eye_distance"])
        assert (stored() == before) is not passes

    @pytest.mark.parametrize(
        ("detect", "strict"),
        [
            ({"estimate_glasses": 1}, True),
            ({"estimate_deepfake": {"estimate": 1}}, True),
            ({"mask_states": [1]}, False),  # the result of a limit is never a guess
            ({"mask_states": [1], "estimate_mask": 1}, False),
        ],
    )
    def test_what_cannot_be_estimated_is_refused(
        self, client: Client, stored: Count, configure: Any, detect: Any, strict: bool
    ) -> None:
        configure(MissingNetworks, refuse_estimations=strict)
        handler = make_handler(client, {"detect_policy": detect})
        before = stored()
        assert error_of(client.post(f"{handler}/events", astronaut(), JPEG)) == (400, 200005)
        assert stored() == before

    def test_what_no_network_tells_is_null_and_listed_once(self, client: Client) -> None:
        detect = {"estimate_glasses": 1, "estimate_emotions": 1, "estimate_deepfake": {"estimate": 1}}
        extract = {"extract_body_descriptor": 1, "extract_basic_attributes": 1}
        handler = make_handler(client, {"detect_policy": detect | {"detect_body": 1}, "extract_policy": extract})
        body = generate(client, handler, astronaut())
        assert body["unavailable_estimations"] == ["body_descriptor", "deepfake", "glasses"]
        (event,) = body["events"]
        attributes = event["detections"][0]["samples"]["face"]["detection"]["attributes"]
        assert (attributes["glasses"], attributes["deepfake"]) == (None, None)
        assert attributes["emotions"]["predominant_emotion"]
        stored_event = client.get(event["url"]).json()
        assert (stored_event["deepfake"], stored_event["gender"]) == (None, 0)
