"""POST /6/detector and /6/extractor: the sequential way from a photograph to a face."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditRecord
from tests.api.handlers.helpers import JPEG, JSON, astronaut, nobody, sample
from tests.api.handlers.requests import detect, extract, samples_of
from tests.api.helpers import Stored
from tests.factories import client_of, make_account, token_client

pytestmark = pytest.mark.django_db
Count = Callable[[], Stored]


class TestDetector:
    def test_samples_are_stored(self, client: Client, stored: Count) -> None:
        before = stored()
        (image,) = detect(client)
        assert (image["filename"], image["status"], image["error"]["error_code"]) == ("raw_image", 1, 0)
        (found,) = image["detections"]["samples"]
        assert set(found["face"]["detection"]["rect"]) == {"x", "y", "width", "height"}
        assert found["face"]["detection"]["attributes"] == {}
        assert client.get(found["face"]["url"]).status_code == 200
        after = stored()
        assert (after.objects - before.objects, after.files - before.files) == (1, 2)
        assert (after.events, after.faces, after.keys) == (before.events, before.faces, before.keys)

    def test_estimations(self, client: Client) -> None:
        estimations = ("estimate_head_pose", "estimate_quality", "estimate_emotions", "estimate_eye_distance")
        flags = (*estimations, "detect_landmarks68", "extract_exif")
        (image,) = detect(client, query="?" + "&".join(f"{flag}=1" for flag in flags))
        detection = image["detections"]["samples"][0]["face"]["detection"]
        assert set(detection["attributes"]) == {"head_pose", "emotions", "eye_distance"}
        assert (len(detection["landmarks68"]), image["exif"] is not None) == (68, True)
        assert 0 < detection["quality"]["light"] <= 1

    def test_filters(self, client: Client, stored: Count) -> None:
        before = stored()
        (image,) = detect(client, query="?roll_threshold=1")
        assert image["detections"]["samples"] == []
        (filtered,) = image["detections"]["filtered_detections"]["face_detections"]
        assert filtered["filter_reasons"][0]["filter_name"] == "roll_threshold"
        assert stored() == before

    def test_several_images(self, client: Client) -> None:
        files = [
            SimpleUploadedFile(name, data, JPEG) for name, data in (("a", sample(1)), ("b", b"x"), ("c", nobody()))
        ]
        images = client.post("/6/detector", {"image": files}).json()["images"]
        assert [(image["filename"], image["status"]) for image in images] == [("a", 1), ("b", 0), ("c", 1)]
        assert [len(image["detections"]["samples"]) > 0 for image in images] == [True, False, False]

    def test_multiface(self, client: Client) -> None:
        assert len(samples_of(client, sample(1))) >= 3
        assert len(detect(client, sample(1), "?multiface_policy=2")[0]["detections"]["samples"]) == 1
        answer = client.post("/6/detector?multiface_policy=0", sample(1), JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 11038)

    @pytest.mark.parametrize(
        "query", ["yaw_threshold=181", "multiface_policy=3", "estimate_quality=2", "image_type=9", "use_exif_info=a"]
    )
    def test_bad_queries(self, client: Client, query: str) -> None:
        answer = client.post(f"/6/detector?{query}", astronaut(), JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 12012)

    def test_token_rights(self, client: Client, account: Account, stored: Count) -> None:
        before = stored()
        answer = token_client(account, face_sample=["view"]).post("/6/detector", astronaut(), JPEG)
        assert (answer.status_code, answer.json()["error_code"]) == (403, 11059)
        assert stored() == before
        assert token_client(account, face_sample=["creation"]).post("/6/detector", astronaut(), JPEG).status_code == 201


class TestExtractor:
    def test_a_descriptor_in_a_temporary_attribute(self, client: Client, stored: Count) -> None:
        (sample_id,) = samples_of(client)
        before = stored()
        answer = extract(client, [sample_id])
        assert answer.status_code == 201
        (found,) = answer.json()
        assert (found["samples"], found["basic_attributes"]) == ([sample_id], None)
        assert found["score"] > 0.9
        assert stored().keys == before.keys + 1
        attribute = client.get(f"{found['url']}?targets=face_descriptor,attribute_id").json()
        assert attribute["attribute_id"] == found["attribute_id"]
        assert len(attribute["face_descriptor"]) == 1

    def test_basic_attributes(self, client: Client) -> None:
        (sample_id,) = samples_of(client)
        (found,) = extract(client, [sample_id], "?extract_basic_attributes=1&extract_descriptor=0").json()
        assert (found["basic_attributes"]["gender"], found["score"]) == (0, None)

    def test_one_attribute_a_sample_or_one_of_all(self, client: Client) -> None:
        samples = samples_of(client, sample(1))
        apart = extract(client, samples).json()
        assert [each["samples"] for each in apart] == [[each] for each in samples]
        (together,) = extract(client, samples, "?aggregate_attributes=1&extract_basic_attributes=1").json()
        assert together["samples"] == samples

    def test_into_a_face_and_matched(self, client: Client) -> None:
        (sample_id,) = samples_of(client)
        (found,) = extract(client, [sample_id]).json()
        face = client.post("/6/faces", {"attribute": {"attribute_id": found["attribute_id"]}}, JSON)
        assert face.status_code == 201, face.json()

    def test_samples_of_low_score_give_none(self, client: Client, stored: Count) -> None:
        (sample_id,) = samples_of(client)
        before = stored()
        answer = extract(client, [sample_id], "?fd_score_threshold=1")
        assert (answer.status_code, answer.json()) == (201, [])
        assert stored() == before

    def test_time_to_live(self, client: Client, redis_client: Any) -> None:
        (sample_id,) = samples_of(client)
        (found,) = extract(client, [sample_id], "?ttl=60").json()
        assert 55 <= redis_client.ttl(f"luna:attribute:{found['attribute_id']}") <= 60

    @pytest.mark.parametrize(
        ("body", "query", "code"),
        [
            ("{", "", 12002), ({}, "", 12027), ([], "", 12027), (["7"], "", 12027), ([None], "", 12027),
            ([str(uuid4())], "", 11031), ([str(uuid4())], "?extract_descriptor=0", 11052),
            ([str(uuid4())] * 101, "", 12027), ([str(uuid4())], "?ttl=0", 12012), ([str(uuid4())], "?ttl=86401", 12012),
            ([str(uuid4())], "?fd_score_threshold=2", 12012),
        ],
    )  # fmt: skip
    def test_bad_input(self, client: Client, stored: Count, body: Any, query: str, code: int) -> None:
        before = stored()
        answer = extract(client, body, query)
        assert (answer.status_code, answer.json()["error_code"]) == (400, code)
        assert stored() == before

    def test_one_missing_sample_stores_nothing(self, client: Client, stored: Count) -> None:
        (sample_id,) = samples_of(client)
        before = stored()
        assert extract(client, [sample_id, str(uuid4())]).json()["error_code"] == 11031
        assert stored() == before

    def test_each_sample_leaves_an_audit_line(
        self, client: Client, account: Account, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        samples = samples_of(client, sample(1))
        extract(client, [*samples, str(uuid4())])
        assert not AuditRecord.objects.filter(action="view").exists()
        for number in (1, len(samples)):
            # account, samples, audit lines
            with django_assert_num_queries(3):
                extract(client, [*samples[:number], samples[0]])
            lines = AuditRecord.objects.filter(action="view", object_type="face_sample")
            assert [(line.object_id, line.account_id, line.object_account_id) for line in lines.order_by("id")] == [
                (sample_id, account.account_id, account.account_id) for sample_id in samples[:number]
            ]
            lines.delete()

    def test_samples_of_another_account(self, client: Client) -> None:
        (sample_id,) = samples_of(client)
        answer = extract(client_of(make_account()), [sample_id])
        assert (answer.status_code, answer.json()["error_code"]) == (400, 11031)

    def test_token_rights(self, client: Client, account: Account) -> None:
        samples = samples_of(client)
        assert extract(token_client(account, attribute=["view"]), samples).json()["error_code"] == 11059
        assert extract(token_client(account, attribute=["creation"]), samples).status_code == 201
