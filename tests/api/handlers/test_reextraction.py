"""Additional extraction: descriptors of a second version beside those of the first, and matching by either."""

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from PIL import Image
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Calibration, DescriptorVersion, sdk_decode, versions
from apps.common.scope import Scope
from apps.events.models import Event, EventDescriptor
from apps.faces import services
from apps.faces.models import Face, FaceAttribute, FaceDescriptor
from apps.faces.types import AttributeData, BasicData, DescriptorData
from apps.handlers import reextraction
from apps.handlers.reextraction import AdditionalExtraction, Batch
from apps.handlers.versions import descriptors_drop
from apps.imagestore.choices import Bucket
from apps.imagestore.files import data_name
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store
from apps.recognition import facade
from tests.api.handlers.conftest import JPEG, JSON, astronaut, encoded, make_handler, sample
from tests.api.handlers.test_events import generate
from tests.api.handlers.test_samples import extract, samples_of
from tests.factories import make_account, make_event, unit_vectors
from tests.unit.recognition.graphs import channel_means, directory_with_embedded, engine_of, install

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("second")]
FIRST, SECOND, BODY, OTHER_BODY = 1001, 2001, 2004, 2005
POINTS = [[-1.0, 0.0], [0.9, 0.2], [1.0, 1.0]]
ALIGNMENT = {
    "crop": [32, 32], "template": [[11, 14], [21, 14], [16, 20], [12, 26], [20, 26]], "mirror_average": True,
    "mesh_points": [[33, 133], [362, 263], [1], [61], [291]],
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded networks, and by their side one of faces and two of bodies that tell mean colours."""
    found = directory_with_embedded(tmp_path_factory.mktemp("networks"))
    for number, task, size in ((SECOND, "face_descriptor", 32), (BODY, "body_descriptor", 64),
                               (OTHER_BODY, "body_descriptor", 48)):  # fmt: skip
        install(
            found, channel_means(size=size).model(), name=f"tiny-{number}", task=task, use=number == BODY,
            outputs=[{"name": "values", "shape": [3]}],
            entry={"shape": [3, size, size], "layout": "NCHW", "colour": "RGB", "mean": [100.0], "std": [255.0]},
            descriptor={
                "version": number, "dimension": 3, "raw_encoding": "float32-le", "match_cosine": 0.9,
                "possible_cosine": 0.8, "calibration": POINTS, "calibrated_on": "nothing",
                **({"alignment": ALIGNMENT} if task == "face_descriptor" else {}),
            },
        )  # fmt: skip
    return found


@pytest.fixture
def second(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both versions are known, the first one is the default."""
    engine = engine_of(directory)
    monkeypatch.setattr(facade, "_engine", engine)
    calibration = Calibration(tuple((cosine, similarity) for cosine, similarity in POINTS))
    for number, kind in ((SECOND, "face"), (BODY, "body"), (OTHER_BODY, "body")):
        versions.register(DescriptorVersion(number, kind, f"tiny-{number}", 3, "float32-le", calibration))  # type: ignore[arg-type]
    yield
    engine.close()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a version the default, as `networks use` and a start do."""

    def chosen(number: int) -> None:
        monkeypatch.setitem(versions._defaults, "face", number)
        engine = facade.engine()
        tasks = {**engine.tasks, "face_descriptor": engine.descriptor_networks()[number]}
        monkeypatch.setattr(engine, "_tasks", tasks)

    return chosen


def enrol(client: Client, data: bytes, **columns: str) -> str:
    """A face from a photograph, the sequential way. Its id."""
    answer = extract(client, samples_of(client, data)[:1])
    made = client.post("/6/faces", {"attribute": {"attribute_id": answer.json()[0]["attribute_id"]}, **columns}, JSON)
    assert made.status_code == 201, made.json()
    face_id: str = made.json()["face_id"]
    return face_id


def command(*words: object, number: int = SECOND) -> str:
    text = io.StringIO()
    call_command("additional_extract", "--descriptor-version", str(number), *map(str, words), stdout=text, stderr=text)
    return text.getvalue()


def numbers(face_id: str) -> list[int]:
    rows = FaceDescriptor.objects.filter(face__face_id=face_id).order_by("version")
    return list(rows.values_list("version", flat=True))


def matched(client: Client, face_id: str, version: int | None = None) -> Any:
    body = {
        "references": [{"type": "face", "id": face_id}],
        "candidates": [{"filters": {"origin": "faces"}, "limit": 10}],
    }
    query = "" if version is None else f"?descriptor_version={version}"
    return client.post(f"/6/matcher/faces{query}", body, JSON)


def similarities(client: Client, face_id: str, version: int | None = None) -> dict[str, float]:
    answer = matched(client, face_id, version)
    assert answer.status_code == 200, answer.json()
    result = answer.json()[0]["matches"][0]["result"]
    return {each["face"]["face_id"]: each["similarity"] for each in result}


def run(**changes: Any) -> list[Batch]:
    chosen = {"objects": "faces", "version": versions.get(SECOND), "scope": Scope(None)} | changes
    return list(AdditionalExtraction(**chosen).run())


def stored_face(account: Account, *samples: UUID, version: int = FIRST) -> Face:
    dimension = versions.get(version).dimension
    descriptor = DescriptorData(version, unit_vectors(1, dimension)[0], 0.5)
    data = AttributeData(descriptors=(descriptor,), descriptor_samples=samples)
    return services.face_create(account_id=account.account_id, attribute=data)


def stored_sample(account: Account, colour: str) -> UUID:
    """A grey warp but for one colour, with points: nothing needs to be found in it."""
    data = encoded(Image.new("RGB", (250, 250), colour))
    meta = {"landmarks5": [[90, 110], [160, 110], [125, 150], [95, 180], [155, 180]]}
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=data, content_type=JPEG, meta=meta
    )  # fmt: skip
    return stored.object_id


class TestMatching:
    def test_each_default_compares_its_own_version(self, client: Client, use: Callable[[int], None]) -> None:
        woman, man = enrol(client, astronaut()), enrol(client, sample(1))
        before = similarities(client, woman)
        assert before[woman] == pytest.approx(1.0, abs=1e-4)
        use(SECOND)
        answer = matched(client, woman)
        assert (answer.status_code, answer.json()["error_code"]) == (400, 22018)
        assert "faces: 2 extracted, 0 without samples" in command()
        after = similarities(client, woman)
        assert after.keys() == before.keys() == {woman, man}
        assert after[man] != pytest.approx(before[man], abs=1e-3)
        use(FIRST)
        assert similarities(client, woman) == before
        assert numbers(woman) == numbers(man) == [FIRST, SECOND]

    def test_candidates_without_the_version_are_not_compared(self, client: Client, use: Callable[[int], None]) -> None:
        old = enrol(client, astronaut())
        use(SECOND)
        new = enrol(client, astronaut())
        assert numbers(new) == [SECOND]
        assert similarities(client, new).keys() == {new}
        use(FIRST)
        assert similarities(client, old).keys() == {old}

    def test_a_request_chooses_the_version(self, client: Client) -> None:
        """Without `descriptor_version` it is the default."""
        woman, man = enrol(client, astronaut()), enrol(client, sample(1))
        command()
        default, chosen = similarities(client, woman), similarities(client, woman, SECOND)
        assert default == similarities(client, woman, FIRST)
        assert default.keys() == chosen.keys() == {woman, man}
        assert default[man] != pytest.approx(chosen[man], abs=1e-3)
        for version, code in ((4242, 12036), (BODY, 12036), (0, 12012), (1002, 22018)):
            assert matched(client, woman, version).json()["error_code"] == code

    def test_the_extractor_gives_the_version_that_is_asked_for(self, client: Client) -> None:
        (sample_id,) = samples_of(client)
        for query, version in (("", FIRST), (f"?descriptor_version={SECOND}", SECOND)):
            attribute_id = extract(client, [sample_id], query).json()[0]["attribute_id"]
            shown = client.get(f"/6/attributes/{attribute_id}", {"targets": "face_descriptor"}).json()
            assert [each["version"] for each in shown["face_descriptor"]] == [version]
        for version in (4242, 1002, BODY):
            answer = extract(client, [sample_id], f"?descriptor_version={version}")
            assert (answer.status_code, answer.json()["error_code"]) == (400, 200003)

    def test_the_sdk_gives_the_version_that_is_asked_for(self, client: Client) -> None:
        def descriptor(query: str) -> Any:
            answer = client.post(f"/6/sdk?estimate_face_descriptor=1{query}", astronaut(), JPEG).json()
            if "error_code" in answer:
                return answer["error_code"]
            block = answer["images_estimations"][0]["estimations"][0]["face"]["attributes"]["descriptor"]
            return sdk_decode(base64.b64decode(block["sdk_descriptor"]))[0].version

        assert descriptor("") == FIRST
        assert descriptor(f"&descriptor_version={SECOND}") == SECOND
        assert descriptor(f"&descriptor_version={BODY}") == descriptor("&descriptor_version=4242") == 200003
        assert client.post(f"/6/sdk?descriptor_version={SECOND}", astronaut(), JPEG).status_code == 200

    def test_policies_compare_the_default_version(self, client: Client, use: Callable[[int], None]) -> None:
        face_id = enrol(client, astronaut())
        path = make_handler(client, {"match_policy": [{"label": "all", "candidates": {"origin": "faces"}}]})
        use(SECOND)
        (event,) = generate(client, path, astronaut())["events"]
        assert [each["face"]["face_id"] for each in event["matches"][0]["candidates"]] == []
        use(FIRST)
        (event,) = generate(client, path, astronaut())["events"]
        assert [each["face"]["face_id"] for each in event["matches"][0]["candidates"]] == [face_id]

    def test_replacing_an_attribute_leaves_nothing_of_the_old_one(self, client: Client) -> None:
        face_id, other = enrol(client, astronaut()), samples_of(client, sample(1))[0]
        command()
        attribute_id = extract(client, [other]).json()[0]["attribute_id"]
        answer = client.put(f"/6/faces/{face_id}/attributes", {"attribute_id": attribute_id}, JSON)
        assert (answer.status_code, numbers(face_id)) == (204, [FIRST])
        command()
        rows = FaceDescriptor.objects.filter(face__face_id=face_id)
        assert [(row.version, row.generation) for row in rows.order_by("version")] == [(FIRST, 1), (SECOND, 1)]


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
        assert [(batch.extracted, batch.without_samples) for batch in run()] == [(2, 0)]
        vectors = {row.face_id: np.array(row.vector) for row in FaceDescriptor.objects.filter(version=SECOND)}
        assert vectors[both.pk][0] == pytest.approx(vectors[both.pk][1], abs=0.01)
        assert vectors[one.pk][0] > 0.6 > 0 > vectors[one.pk][1]

    def test_who_has_no_samples_is_kept_and_said(self, account: Account) -> None:
        bare, gone = stored_face(account), stored_face(account, uuid4())
        services.face_create(account_id=account.account_id)  # nothing is known of it: it is not counted
        basic = AttributeData(basic=BasicData(age=30), basic_samples=(stored_sample(account, "red"),))
        services.face_create(account_id=account.account_id, attribute=basic)
        said = command()
        assert "faces: 0 extracted, 2 without samples (kept as they are), 0 changed meanwhile, 0 failed" in said
        assert numbers(str(bare.face_id)) == numbers(str(gone.face_id)) == [FIRST]

    def test_other_peoples_samples_are_not_used(self, account: Account) -> None:
        face = stored_face(account, stored_sample(make_account(), "red"))
        assert [batch.without_samples for batch in run()] == [1]
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
        with pytest.raises(CommandError, match="2 could not be extracted"):
            call_command("additional_extract", "--descriptor-version", str(SECOND), stdout=text, stderr=text)
        assert (
            "faces: 1 extracted, 0 without samples (kept as they are), 0 changed meanwhile, 2 failed" in text.getvalue()
        )
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
        assert (next(batches).extracted, extraction.count()) == (2, 3)
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
        where = {"account_id": account.account_id, "face_id": face.face_id}
        fresh = AttributeData((DescriptorData(FIRST, unit_vectors(1, 128, 5)[0]),), descriptor_samples=(uuid4(),))

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
        assert [(batch.extracted, batch.changed) for batch in run()] == [(1, 1)]
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
        descriptor = DescriptorData(FIRST, unit_vectors(1, 128)[0])
        event = make_event(account, descriptor, face_detections=[{"sample_id": str(stored_sample(account, "red"))}])  # type: ignore[arg-type]

        def recognise(*args: Any) -> Any:
            if args[0]:
                Event.objects.unscoped().filter(pk=event.pk).update(face_detections=[])
            return facade.recognise(*args)

        monkeypatch.setattr(reextraction, "recognise", recognise)
        assert [(batch.extracted, batch.changed) for batch in run(objects="events")] == [(0, 1)]
        assert [batch.without_samples for batch in run(objects="events")] == [1]

    def test_bodies_are_of_events(self) -> None:
        for words in ((), ("--list", uuid4()), ("--list", uuid4(), "--events")):
            with pytest.raises(CommandError):
                command(*words, number=BODY)


@pytest.mark.parametrize(
    ("words", "number", "reason"),
    [
        ((), 4242, "4242 is not registered"),
        ((), 1002, "1002"),  # known, not installed
        (("--account", "me"), SECOND, "no UUID"),
        (("--list", "00000000-0000-4000-b000-000000000001"), SECOND, "not found"),
        (("--batch", "0"), SECOND, "at least one"),
    ],
)
def test_wrong_words_are_refused_in_a_sentence(words: tuple[str, ...], number: int, reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        command(*words, number=number)


class TestDrop:
    def drop(self, *words: object, number: int = SECOND) -> str:
        text = io.StringIO()
        call_command("drop_descriptors", "--descriptor-version", str(number), *map(str, words), stdout=text)
        return text.getvalue()

    def test_a_version_ends(self, client: Client, account: Account) -> None:
        face_id = enrol(client, astronaut())
        command()
        assert "faces: 1 to remove" in self.drop("--dry-run")
        assert numbers(face_id) == [FIRST, SECOND]
        assert "faces: 0 removed" in self.drop("--account", make_account().account_id)
        assert "faces: 1 removed" in self.drop("--account", account.account_id)
        assert numbers(face_id) == [FIRST]
        assert AuditRecord.objects.filter(action="delete", object_id=f"version {SECOND}").count() == 2

    def test_the_default_stays(self, client: Client) -> None:
        face_id = enrol(client, astronaut())
        with pytest.raises(CommandError, match="default"):
            self.drop("--force", number=FIRST)
        with pytest.raises(ValueError, match="default"):
            next(descriptors_drop(objects="faces", scope=Scope(None), number=FIRST, force=True))
        assert numbers(face_id) == [FIRST]

    def test_the_last_descriptor_goes_by_force_only_and_comes_back(
        self, account: Account, use: Callable[[int], None]
    ) -> None:
        alone = stored_face(account, stored_sample(account, "red"))
        both = stored_face(account, stored_sample(account, "red"))
        run()
        FaceDescriptor.objects.filter(face=alone, version=SECOND).delete()
        use(SECOND)
        with pytest.raises(CommandError, match="1 faces would be left"):
            self.drop(number=FIRST)
        assert [sum(descriptors_drop(objects="faces", scope=Scope(None), number=FIRST))] == [1]
        assert (numbers(str(alone.face_id)), numbers(str(both.face_id))) == ([FIRST], [SECOND])
        assert "faces: 1 removed" in self.drop("--force", number=FIRST)
        assert numbers(str(alone.face_id)) == []
        assert [batch.extracted for batch in run()] == [1]
        assert numbers(str(alone.face_id)) == [SECOND]

    def test_events_too(self, account: Account) -> None:
        vectors = unit_vectors(1, 128)[0], unit_vectors(1, 3)[0]
        make_event(account, DescriptorData(FIRST, vectors[0]), DescriptorData(SECOND, vectors[1]))  # type: ignore[arg-type]
        assert "events: 1 removed" in self.drop("--events")
        assert EventDescriptor.objects.get().version == FIRST
        assert "events: 0 removed" in self.drop("--events", number=9105)  # of a network that nobody knows any more
