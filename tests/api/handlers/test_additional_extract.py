"""Tasks of additional extraction, with a second version of descriptors beside the embedded one."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common import errors
from apps.common.config import AdditionalServices, override_config
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.descriptors import extraction as engine_side
from apps.events.models import Event, EventDescriptor
from apps.faces import services
from apps.faces.models import FaceAttribute, FaceDescriptor
from apps.faces.types import AttributeData
from apps.imagestore.choices import Bucket
from apps.imagestore.services import object_store
from apps.recognition.run import facade
from apps.tasks.types import additional_extract
from apps.tasks.types.additional_extract import TYPE
from apps.tasks.types.base import StageCancelled
from tests.api.handlers.second_version import BODY, FIRST, SECOND, numbers, stored_face, stored_sample
from tests.factories import make_account, make_event, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.contents import check_contents

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("second")]
NOTHING = {"extracted": 0, "changed": 0, "without_samples": 0, "failed": 0}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additional_extract, "SUBTASK_OBJECTS", 3)
    monkeypatch.setattr(additional_extract, "BATCH_OBJECTS", 2)
    monkeypatch.setattr(additional_extract, "BUSY_S", 0.01)


def run(
    target: str = "face_descriptor",
    filters: dict[str, Any] | None = None,
    *,
    version: int | None = SECOND,
    account: Account | None = None,
    places: Places | None = None,
    **more: Any,
) -> Outcome:
    options = {} if version is None else {"options": {"descriptor_version": version}}
    content = {"extraction_target": target, "filters": {"object_type": "faces", **(filters or {})}, **options, **more}
    return run_task(TYPE, content, scope=Scope(account.account_id if account else None), places=places)


def failure(*arguments: Any, **more: Any) -> LunaError:
    with pytest.raises(LunaError) as caught:
        run(*arguments, **more)
    return caught.value


def test_faces(account: Account) -> None:
    faces = [stored_face(account, stored_sample(account, colour)) for colour in ("red", "lime", "red", "lime", "red")]
    bare, gone = stored_face(account), stored_face(account, uuid4())
    outcome = run()
    assert outcome.result == {"descriptor_version": SECOND, **NOTHING, "extracted": 5, "without_samples": 2}
    assert [part.parts for part in outcome.parts] == [3, 3, 1]
    assert [numbers(str(face.face_id)) for face in faces] == [[FIRST, SECOND]] * 5
    wanted = [(errors.OBJECTS_NOT_FOUND, str(face.face_id)) for face in (bare, gone)]
    assert [(each.code, each.info) for each in outcome.errors] == wanted
    assert run().result == {"descriptor_version": SECOND, **NOTHING, "without_samples": 2}
    lines = AuditRecord.objects.filter(action="additional_extract").order_by("id")
    assert [(line.object_type, line.object_id) for line in lines] == [("face_descriptor", f"version {SECOND}")] * 2


def test_filters_and_accounts(account: Account) -> None:
    stranger = make_account()
    one, two, theirs = (stored_face(each, stored_sample(each, "red")) for each in (account, account, stranger))
    row = services.list_create(account_id=account.account_id)
    services.list_attach_faces(account_id=account.account_id, list_id=row.list_id, face_ids=[one.face_id])
    own: dict[str, Any] = {"account_id": str(account.account_id)}
    assert run(filters={"list_id": str(row.list_id), **own}).result["extracted"] == 1
    assert (numbers(str(one.face_id)), numbers(str(two.face_id))) == ([FIRST, SECOND], [FIRST])
    assert run(filters={"face_id__lt": "00000000-0000-4000-8000-000000000000"}).result["extracted"] == 0
    assert run(account=account).result["extracted"] == 1
    assert numbers(str(theirs.face_id)) == [FIRST]
    assert failure(account=account, filters={"account_id": str(stranger.account_id)}).code == 11069
    assert failure(account=account, account_id=str(stranger.account_id)).code == 11069
    assert run(**own).result["extracted"] == 0
    assert run().result["extracted"] == 1


def test_events(account: Account) -> None:
    found = [
        make_event(
            account,
            Descriptor(FIRST, unit_vectors(1, 128)[0]),
            face_detections=[{"sample_id": str(stored_sample(account, "red"))}],
            source=source,
        )
        for source in ("gate", "door")
    ]
    outcome = run(filters={"object_type": "events", "sources": ["gate"]})
    assert outcome.result["extracted"] == 1
    assert list(EventDescriptor.objects.filter(version=SECOND).values_list("event_id", flat=True)) == [found[0].pk]
    assert run("body_descriptor", {"object_type": "events"}, version=BODY).result["extracted"] == 0
    with override_config(AdditionalServices, luna_events=False):
        assert failure(filters={"object_type": "events"}).code == 28021


def test_basic_attributes_where_they_are_missing(account: Account) -> None:
    sample = stored_sample(account, "red")
    lacking = stored_face(account, sample)
    known = stored_face(account, stored_sample(account, "red"))
    FaceAttribute.objects.filter(face=known).update(age=99)
    bare = stored_face(account)
    outcome = run("basic_attributes", version=None)
    assert outcome.result == {"descriptor_version": None, **NOTHING, "extracted": 1}
    row = FaceAttribute.objects.get(face=lacking)
    assert row.age is not None
    assert row.gender in (0, 1)
    assert row.basic_attributes_samples == row.descriptor_samples == [sample]
    assert numbers(str(lacking.face_id)) == [FIRST]
    assert FaceAttribute.objects.get(face=known).age == 99
    assert FaceAttribute.objects.get(face=bare).age is None

    event = make_event(account, face_detections=[{"sample_id": str(sample)}])
    adult = make_event(account, face_detections=[{"sample_id": str(sample)}], age=99)
    outcome = run("basic_attributes", {"object_type": "events"}, version=None)
    assert outcome.result["extracted"] == 1
    event, adult = (Event.objects.unscoped().get(pk=each.pk) for each in (event, adult))
    assert (event.age, event.gender, event.ethnic_group) == (row.age, row.gender, row.ethnicity)
    assert (adult.age, adult.gender) == (99, None)
    assert run("basic_attributes", {"object_type": "events"}, version=None).result["extracted"] == 0


@pytest.mark.parametrize(("target", "version"), [("face_descriptor", SECOND), ("basic_attributes", None)])
@pytest.mark.parametrize(("change", "code"), [("replaced", 22015), ("anew", 22025), ("deleted", None), ("done", None)])
def test_a_face_that_changes_while_it_is_extracted(
    account: Account, monkeypatch: pytest.MonkeyPatch, target: str, version: int | None, change: str, code: int | None
) -> None:
    face, other = (stored_face(account, stored_sample(account, "red")) for _ in range(2))
    where: dict[str, Any] = {"account_id": account.account_id, "face_id": face.face_id}
    vector = Descriptor(FIRST, unit_vectors(1, 128, 5)[0])
    read = engine_side.AdditionalExtraction.read

    changes = iter((change,))

    def changed(*arguments: Any) -> Any:
        samples = read(*arguments)
        now = next(changes, None)
        if now == "replaced":
            sample = tuple(FaceAttribute.objects.get(face=face).descriptor_samples)
            services.face_attribute_set(**where, attribute=AttributeData((vector,), descriptor_samples=sample))
        elif now == "anew":
            services.face_attribute_delete(**where)
            services.face_attribute_set(**where, attribute=AttributeData((vector,), descriptor_samples=(uuid4(),)))
        elif now == "deleted":
            services.face_delete(**where)
        elif now == "done":
            FaceDescriptor.objects.create(face=face, version=SECOND, vector=unit_vectors(1, 3)[0])
            FaceAttribute.objects.filter(face=face).update(age=99)
        return samples

    monkeypatch.setattr(engine_side.AdditionalExtraction, "read", changed)
    outcome = run(target, version=version)
    assert (outcome.result["extracted"], outcome.result["changed"]) == (1, 1)
    assert [(each.code, each.info) for each in outcome.errors] == ([] if code is None else [(code, str(face.face_id))])
    assert not FaceAttribute.objects.filter(face=face, age__lt=99).exists()
    assert numbers(str(other.face_id)) == ([FIRST] if version is None else [FIRST, SECOND])


def test_a_sample_that_cannot_be_read_is_an_error_of_its_face(account: Account) -> None:
    broken, whole = stored_face(account, _noise(account)), stored_face(account, stored_sample(account, "lime"))
    outcome = run()
    assert (outcome.result["extracted"], outcome.result["failed"]) == (1, 1)
    assert [each.info for each in outcome.errors] == [str(broken.face_id)]
    assert numbers(str(whole.face_id)) == [FIRST, SECOND]


def _noise(account: Account) -> UUID:
    stored = object_store(
        bucket=Bucket.FACE_SAMPLES, account_id=account.account_id, data=b"no picture", content_type="image/jpeg"
    )
    return stored.object_id


def test_a_busy_engine_is_asked_again(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    stored_face(account, stored_sample(account, "red"))
    calls = 0

    def busy(*arguments: Any) -> Any:
        nonlocal calls
        calls += bool(arguments[0])
        if calls in (1, 2):
            raise LunaError(errors.SERVICE_BUSY, "too many pictures")
        return facade.recognise(*arguments)

    monkeypatch.setattr(engine_side, "recognise", busy)
    assert run().result["extracted"] == 1
    assert calls == 3


def test_a_killed_worker_extracts_each_object_once(account: Account) -> None:
    for _ in range(4):
        stored_face(account, stored_sample(account, "red"))
    bare = stored_face(account)
    killed = 0
    for _, outcome in runs_killed(lambda places: run(places=places), checks_too=True, step=2):
        killed += 1
        counts = {"extracted": 4, "without_samples": 1}
        assert outcome.result == {"descriptor_version": SECOND, **NOTHING, **counts}
        assert [each.info for each in outcome.errors] == [str(bare.face_id)]
        rows = FaceDescriptor.objects.filter(version=SECOND)
        assert rows.count() == 4
        rows.delete()
    assert killed > 4


def test_a_cancelled_task_stops_at_each_check(account: Account) -> None:
    for _ in range(4):
        stored_face(account, stored_sample(account, "red"))
    for at in range(1, 5):
        with pytest.raises(StageCancelled):
            run(places=Places(cancel_at=at))
    assert FaceDescriptor.objects.filter(version=SECOND).count() < 4


@pytest.mark.parametrize(
    ("target", "version", "code"),
    [
        ("face_descriptor", 4242, 12036),
        ("face_descriptor", BODY, 12036),
        ("face_descriptor", 1002, 200003),  # known, not installed
        ("face_descriptor", None, 12027),
        ("body_descriptor", BODY, 12027),  # faces have no bodies
        ("sex", SECOND, 12027),
    ],
)
def test_targets_and_versions(target: str, version: int | None, code: int) -> None:
    assert failure(target, version=version).code == code


def test_object_types() -> None:
    assert failure(filters={"object_type": None}).code == failure(filters={"object_type": "lists"}).code == 12027
    assert failure(filters={"object_type": ["faces"]}).code == failure(filters={"sources": ["x"]}).code == 12027
    assert TYPE.operators_only
    assert TYPE.needs.handlers


def test_contents() -> None:
    filters = {"object_type": "faces", "face_id__lt": str(uuid4()), "list_id": str(uuid4()), "account_id": str(uuid4())}
    options = {"descriptor_version": SECOND}
    content = {"extraction_target": "face_descriptor", "filters": filters, "options": options}
    assert check_contents(TYPE, {**content, "account_id": str(uuid4())}) > 100
