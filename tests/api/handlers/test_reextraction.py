"""Additional extraction: descriptors of a second version beside those of the first."""

import io
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor, versions
from apps.common.scope import Scope
from apps.descriptors import extraction as reextraction
from apps.descriptors.extraction import AdditionalExtraction
from apps.events.models import Event, EventDescriptor
from apps.faces import services
from apps.faces.models import Face, FaceAttribute, FaceDescriptor
from apps.faces.types import AttributeData, BasicData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.files import data_name
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.api.handlers.requests import generate
from tests.api.handlers.second_version import (
    BODY,
    FIRST,
    OTHER_BODY,
    SECOND,
    command,
    enrol,
    numbers,
    run,
    stored_face,
    stored_sample,
)
from tests.factories import make_account, make_event, unit_vectors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("second")]


class TestFaces:
    def test_the_descriptor_is_that_of_the_sample(self, client: Client, use: Callable[[int], None]) -> None:
        face_id = enrol(client, astronaut())
        command()
        use(SECOND)
        again = enrol(client, astronaut())
        one, other = (FaceDescriptor.objects.get(face__face_id=each, version=SECOND) for each in (face_id, again))
        np.testing.assert_array_equal(np.array(one.vector), np.array(other.vector))
        assert one.score == pytest.approx(other.score, abs=1e-6)

    def test_several_samples_are_averaged_and_lost_ones_left_out(self, account: Account) -> None:
        red, green = stored_sample(account, "red"), stored_sample(account, "lime")
        both, one = stored_face(account, red, green), stored_face(account, red, uuid4())
        assert [(batch.extracted, batch.without_samples) for batch in run()] == [(2, ())]
        vectors = {row.face_id: np.array(row.vector) for row in FaceDescriptor.objects.filter(version=SECOND)}
        assert vectors[both.pk][0] == pytest.approx(vectors[both.pk][1], abs=0.01)
        assert vectors[one.pk][0] > 0.6 > 0 > vectors[one.pk][1]

    def test_who_has_no_samples_is_kept_and_said(self, account: Account) -> None:
        bare, gone = stored_face(account), stored_face(account, uuid4())
        services.face_create(
            account_id=account.account_id, draft=FaceDraft()
        )  # nothing is known of it: it is not counted
        basic = AttributeData(basic=BasicData(age=30), basic_samples=(stored_sample(account, "red"),))
        services.face_create(account_id=account.account_id, draft=FaceDraft(attribute=basic))
        said = command()
        assert "faces: 0 extracted, 2 without samples (unchanged), 0 changed concurrently, 0 failed" in said
        assert numbers(str(bare.face_id)) == numbers(str(gone.face_id)) == [FIRST]

    def test_other_peoples_samples_are_not_used(self, account: Account) -> None:
        face = stored_face(account, stored_sample(make_account(), "red"))
        assert [batch.without_samples for batch in run()] == [(face.face_id,)]
        assert numbers(str(face.face_id)) == [FIRST]

    def test_what_fails_is_said_with_its_reason_and_the_rest_goes_on(self, account: Account) -> None:
        sample_id = stored_sample(account, "red")
        row = StoredObject.objects.unscoped().get(object_id=sample_id)
        default_storage.delete(data_name(row.bucket, row.object_id, row.content_type))
        broken, whole = stored_face(account, sample_id), stored_face(account, stored_sample(account, "lime"))
        noise = object_store(
            bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=b"no picture", content_type=JPEG
        )  # fmt: skip
        unread = stored_face(account, noise.object_id)
        text = io.StringIO()
        with pytest.raises(CommandError, match="extraction failed for 2 objects"):
            call_command("additional_extract", "--descriptor-version", str(SECOND), stdout=text, stderr=text)
        assert "faces: 1 extracted, 0 without samples (unchanged), 0 changed concurrently, 2 failed" in text.getvalue()
        assert f"{broken.face_id}: " in text.getvalue()
        assert f"{unread.face_id}: " in text.getvalue()
        assert numbers(str(whole.face_id)) == [FIRST, SECOND]

    def test_account_and_list_narrow_it(self, account: Account) -> None:
        stranger = make_account()
        mine, listed, theirs = (stored_face(each, stored_sample(each, "red")) for each in (account, account, stranger))
        row = services.list_create(account_id=account.account_id)
        services.list_attach_faces(
            account_id=account.account_id, list_id=row.list_id, face_ids=[listed.face_id]
        )  # fmt: skip
        with pytest.raises(CommandError):
            command("--account", stranger.account_id, "--list", row.list_id)
        command("--list", row.list_id)
        assert [numbers(str(face.face_id)) for face in (mine, listed, theirs)] == [[FIRST], [FIRST, SECOND], [FIRST]]
        command("--account", account.account_id)
        assert (numbers(str(mine.face_id)), numbers(str(theirs.face_id))) == ([FIRST, SECOND], [FIRST])
        lines = AuditRecord.objects.filter(action="additional_extract").order_by("id")
        assert [(line.object_type, line.object_id, line.object_account_id) for line in lines] == [
            ("face_descriptor", f"version {SECOND}", None),
            ("face_descriptor", f"version {SECOND}", account.account_id),
        ]

    def test_a_rehearsal_changes_nothing(self, account: Account) -> None:
        face = stored_face(account, stored_sample(account, "red"))
        stored_face(account, uuid4())
        assert "faces: 1 to extract, 1 without samples" in command("--dry-run")
        assert numbers(str(face.face_id)) == [FIRST]
        assert not AuditRecord.objects.filter(action="additional_extract").exists()

    def test_a_batch_costs_the_same_however_large(
        self, account: Account, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for size in (1, 7):
            for _ in range(size):
                stored_face(account, stored_sample(account, "red"))
            # audit, batch, samples; begin, lock, attributes, known, insert, end; the empty batch
            with django_assert_num_queries(10):
                assert [batch.extracted for batch in run()] == [size]


class TestInterruption:
    def test_a_run_that_was_cut_off_goes_on(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        faces = [stored_face(account, stored_sample(account, "red")) for _ in range(5)]
        extraction = AdditionalExtraction(
            objects="faces", version=versions.get(SECOND), scope=Scope(None), batch_objects=2
        )  # fmt: skip
        batches = extraction.run()
        assert (next(batches).extracted, extraction.lacking().count()) == (2, 3)
        with monkeypatch.context() as patch:
            patch.setattr(reextraction, "face_descriptors_add", _dies)
            with pytest.raises(RuntimeError):
                next(batches)
        before = set(FaceDescriptor.objects.filter(version=SECOND).values_list("pk", flat=True))
        assert len(before) == 2
        assert "faces: 3 extracted" in command("--batch", 2)
        after = set(FaceDescriptor.objects.filter(version=SECOND).values_list("pk", flat=True))
        assert before < after
        assert [numbers(str(face.face_id)) for face in faces] == [[FIRST, SECOND]] * 5
        assert "faces: 0 extracted" in command()

    @pytest.mark.parametrize("change", ["replaced", "deleted", "anew", "described", "gone"])
    def test_who_changes_meanwhile_gets_no_stale_descriptor(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        """Between extraction and storing; a face whose attribute was deleted and set has its old generation again."""
        face = stored_face(account, stored_sample(account, "red"))
        other = stored_face(account, stored_sample(account, "red"))
        where: dict[str, Any] = {"account_id": account.account_id, "face_id": face.face_id}
        fresh = AttributeData((Descriptor(FIRST, unit_vectors(1, 128, 5)[0]),), descriptor_samples=(uuid4(),))

        def recognise(*args: Any) -> Any:
            results = facade.recognise(*args)
            if not args[0]:
                return results
            if change == "deleted":
                services.face_attribute_delete(**where)
            elif change == "anew":
                services.face_attribute_delete(**where)
                services.face_attribute_set(**where, attribute=fresh)
            elif change == "replaced":
                attribute = AttributeData(
                    fresh.descriptors, descriptor_samples=tuple(face_samples(face))
                )  # fmt: skip
                services.face_attribute_set(**where, attribute=attribute)
            elif change == "described":
                FaceDescriptor.objects.create(face=face, version=SECOND, vector=unit_vectors(1, 3)[0])
            else:
                services.face_delete(**where)
            return results

        monkeypatch.setattr(reextraction, "recognise", recognise)
        (batch,) = run()
        assert (batch.extracted, batch.changed) == (1, 1)
        code = {"replaced": [22015], "anew": [22025]}.get(change, [])
        assert [(each, error.code) for each, error in batch.conflicts] == [(face.face_id, each) for each in code]
        left = {"described": [FIRST, SECOND], "deleted": [], "gone": []}.get(change, [FIRST])
        assert numbers(str(face.face_id)) == left
        assert numbers(str(other.face_id)) == [FIRST, SECOND]


def face_samples(face: Face) -> list[UUID]:
    return list(FaceAttribute.objects.get(face=face).descriptor_samples)


def _dies(**arguments: Any) -> int:
    raise RuntimeError("killed")


class TestEvents:
    def test_faces_and_bodies_of_events(self, client: Client, account: Account) -> None:
        path = make_handler(client, {
            "detect_policy": {"detect_body": 1},
            "extract_policy": {"extract_face_descriptor": 1, "extract_body_descriptor": 1},
        })  # fmt: skip
        generate(client, path, astronaut())
        assert "events: 1 extracted" in command("--events")
        assert "events: 1 extracted" in command("--events", number=OTHER_BODY)
        rows = {row.version: row for row in EventDescriptor.objects.filter(event__account_id=account.account_id)}
        assert sorted(rows) == [FIRST, SECOND, BODY, OTHER_BODY]
        np.testing.assert_allclose(np.array(rows[BODY].vector), np.array(rows[OTHER_BODY].vector), atol=0.02)
        assert rows[OTHER_BODY].score is None
        assert rows[SECOND].score == pytest.approx(rows[FIRST].score, abs=0.01)  # of the JPEG, no more of the pixels
        assert "events: 0 extracted" in command("--events")

    def test_an_event_that_has_forgotten_its_person_gets_none(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        descriptor = Descriptor(FIRST, unit_vectors(1, 128)[0])
        event = make_event(account, descriptor, face_detections=[{"sample_id": str(stored_sample(account, "red"))}])

        def recognise(*args: Any) -> Any:
            if args[0]:
                Event.objects.unscoped().filter(pk=event.pk).update(face_detections=[])
            return facade.recognise(*args)

        monkeypatch.setattr(reextraction, "recognise", recognise)
        assert [(batch.extracted, batch.changed) for batch in run(objects="events")] == [(0, 1)]
        assert [batch.without_samples for batch in run(objects="events")] == [(event.event_id,)]

    @pytest.mark.parametrize("words", [(), ("--list", uuid4()), ("--list", uuid4(), "--events")])
    def test_bodies_are_of_events(self, words: tuple[object, ...]) -> None:
        with pytest.raises(CommandError):
            command(*words, number=BODY)


@pytest.mark.parametrize(
    ("words", "number", "reason"),
    [
        ((), 4242, "4242 is not registered"),
        ((), 1002, "1002"),  # known, not installed
        (("--account", "me"), SECOND, "must be UUIDs"),
        (("--list", "00000000-0000-4000-b000-000000000001"), SECOND, "not found"),
        (("--batch", "0"), SECOND, "must be at least 1"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words: tuple[str, ...], number: int, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        command(*words, number=number)
