"""`manage.py erase` leaves nothing of a person, and all of everybody else."""

import io
import json
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import Account, AuditRecord
from apps.common.holdings import Holding, Reference, Report, Trace, holdings
from apps.events.models import Event, EventDescriptor
from apps.faces import services
from apps.faces.models import Face
from apps.faces.types import FaceDraft
from apps.imagestore import files
from apps.imagestore.choices import audit_type
from apps.imagestore.models import StoredBucket, StoredObject
from apps.imagestore.services import samples_store
from apps.imagestore.types import NewObject
from tests.factories import make_account, make_event
from tests.unit.privacy.helpers import Person, mention

pytestmark = pytest.mark.usefixtures("store_dir")


def everything(store: Path, redis_client: redis.Redis) -> bytes:
    """All rows of all tables as text, all files with their names, all values of Redis."""
    parts: list[bytes] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY (SELECT * FROM "{table}") TO STDOUT') as rows:  # noqa: S608
                parts.extend(bytes(row) for row in rows)
    for path in sorted(store.rglob("*")):
        parts += [path.name.encode(), path.read_bytes() if path.is_file() else b""]
    for key in redis_client.scan_iter():
        value: Any = redis_client.get(key) if redis_client.type(key) == b"string" else b""
        parts += [key, value]
    return b"\n".join(parts)


def traces(person: Person) -> dict[str, bytes]:
    vector = "[" + ",".join(f"{x:.6g}" for x in person.vector[:1]).rstrip("0")[:6]
    return {
        "name": person.name.encode(),
        "picture": person.jpeg,
        "vector in Redis": person.vector.tobytes(),
        "vector in a table": vector.encode(),
    }


def run(*arguments: str) -> dict[str, Any]:
    output = io.StringIO()
    call_command("erase", *arguments, stdout=output)
    return dict(json.loads(output.getvalue().partition("\nReceipt: ")[0]))


@pytest.fixture
def account(db: None, store_dir: Path) -> Account:
    return make_account()


@pytest.mark.parametrize("by", ["external id", "face id"])
@pytest.mark.django_db(transaction=True)
def test_nothing_of_a_person_is_left(
    account: Account, store_dir: Path, redis_client: redis.Redis, tmp_path: Path, by: str
) -> None:
    alice, bob = Person(account, "alice-x", 1), Person(account, "bob-y", 2)
    elsewhere = Person(make_account(), "alice-x2", 3)
    mentioned = mention(account, alice, bob)
    arguments = ["--external-id", "alice-x"] if by == "external id" else ["--face-id", str(alice.face.face_id)]
    arguments += ["--receipts", str(tmp_path / "receipts")]
    before = everything(store_dir, redis_client)
    for person in (alice, bob):
        assert {name for name, trace in traces(person).items() if trace not in before} == set()
    plan = run(*arguments, "--dry-run")
    assert everything(store_dir, redis_client) == before
    receipt = run(*arguments)
    after = everything(store_dir, redis_client).replace(b"alice-x2", b"-")
    after = after.replace(elsewhere.jpeg, b"-")
    assert {name for name, trace in traces(alice).items() if trace in after} == set()
    assert {name for name, trace in traces(bob).items() if trace not in after} == set()

    assert [plan[name] for name in ("faces", "events", "objects", "mentions")] == [
        receipt[name] for name in ("faces", "events", "objects", "mentions")
    ]
    assert receipt["faces"] == [str(alice.face.face_id)]
    assert receipt["events"] == [str(alice.event.event_id)]
    assert (len(receipt["objects"]), receipt["mentions"], receipt["temporary_attributes"]) == (5, 1, 1)
    assert receipt["files_left"] == []
    (kept,) = (tmp_path / "receipts").iterdir()
    assert json.loads(kept.read_text()) == receipt

    event = Event.objects.unscoped().get(pk=alice.event.pk)
    assert (event.source, event.create_time) == ("gate", alice.event.create_time)
    assert (event.age, event.meta, event.face_detections, event.face_id) == (None, None, [], None)
    mentioned.refresh_from_db()
    assert [each["face"]["user_data"] for each in mentioned.match_result[0]["candidates"]] == ["bob-y"]
    assert mentioned.top_similar_object_id is None
    assert StoredObject.objects.unscoped().count() == 10
    assert EventDescriptor.objects.count() == Face.objects.unscoped().count() == 2
    assert {(line.object_type, line.object_id) for line in AuditRecord.objects.filter(action="erase")} == {
        ("face", str(alice.face.face_id)),
        ("event", str(alice.event.event_id)),
        *((audit_type(row.bucket), str(row.object_id)) for row in alice.stored),
        ("person", receipt["receipt_id"]),
    }
    assert AuditRecord.objects.filter(action="erase").count() == 8
    assert not AuditRecord.objects.filter(action="delete").exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("/6/images/{}", "visionlabs-image-origin"),
        ("http://host/1/buckets/visionlabs-image-origin/images/{}", "visionlabs-image-origin"),
        ("http://host/1/buckets/visionlabs-objects/objects/{}", "visionlabs-objects"),
        ("http://host/1/buckets/people/images/{}", "people/images"),
    ],
)
def test_an_avatar_goes_under_every_address_that_it_has(
    account: Account, tmp_path: Path, address: str, bucket: str
) -> None:
    StoredBucket.objects.get_or_create(name="people")
    (stored,) = samples_store(
        items=[NewObject(account_id=account.account_id, bucket=bucket, data=b"jpeg", content_type="image/jpeg")]
    )
    face = services.face_create(account_id=account.account_id, draft=FaceDraft(avatar=address.format(stored.object_id)))
    call_command("erase", "--face-id", str(face.face_id), "--receipts", str(tmp_path))
    assert not StoredObject.objects.unscoped().exists()


def test_a_face_that_names_the_event_of_another_account(account: Account, tmp_path: Path) -> None:
    victim = Person(make_account(), "victim", 1)
    face = services.face_create(
        account_id=account.account_id, draft=FaceDraft(external_id="eve", event_id=victim.event.event_id)
    )
    receipt = run("--face-id", str(face.face_id), "--receipts", str(tmp_path / "receipts"))
    assert (receipt["faces"], receipt["events"], receipt["objects"]) == ([str(face.face_id)], [], [])
    kept = Event.objects.unscoped().get(pk=victim.event.pk)
    assert (kept.external_id, kept.meta, kept.descriptors.count()) == ("victim", {"name": "victim"}, 1)


@pytest.mark.django_db(transaction=True)
def test_an_external_id_in_one_account(account: Account, tmp_path: Path) -> None:
    other = make_account()
    Person(account, "carol", 1)
    stays = Person(other, "carol", 2)
    receipts = ("--receipts", str(tmp_path / "receipts"))
    run("--external-id", "carol", "--of-account", str(account.account_id), *receipts)
    assert [face.pk for face in Face.objects.unscoped()] == [stays.face.pk]
    assert StoredObject.objects.for_account(other.account_id).count() == 5


@pytest.mark.django_db(transaction=True)
def test_an_account(account: Account, store_dir: Path, redis_client: redis.Redis, tmp_path: Path) -> None:
    dave = Person(account, "dave", 1)
    erin = Person(make_account(), "erin", 2)
    arguments = ("--account", str(account.account_id), "--receipts", str(tmp_path / "receipts"))
    plan = run(*arguments, "--dry-run")
    assert plan["dry_run"]
    receipt = run(*arguments)
    assert plan["rows"].items() <= receipt["rows"].items()
    tables = ("faces_face", "faces_facedescriptor", "events_event", "imagestore_storedobject")
    assert [receipt["rows"][table] for table in tables] == [1, 1, 1, 5]
    after = everything(store_dir, redis_client)
    assert {name for name, trace in traces(dave).items() if trace in after} == set()
    assert {name for name, trace in traces(erin).items() if trace not in after} == set()
    assert not Account.objects.filter(pk=account.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_storage_that_is_away_keeps_no_receipt_back(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = Person(account, "grace", 1)

    def away(*_: object) -> None:
        raise OSError("the storage is away")

    monkeypatch.setattr(files, "remove", away)
    monkeypatch.setattr(files, "remove_all", away)
    monkeypatch.setattr(files, "exists", away)
    with pytest.raises(CommandError, match="10 files could not be removed"):
        run("--face-id", str(grace.face.face_id), "--receipts", str(tmp_path / "receipts"))
    (kept,) = (tmp_path / "receipts").iterdir()
    assert len(json.loads(kept.read_text())["files_left"]) == 10
    assert not Face.objects.unscoped().exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--external-id", ""),
        ("--external-id", "nobody"),
        ("--face-id", "x"),
        ("--face-id", str(uuid4())),
        ("--account", str(UUID(int=1))),
        ("--external-id", "a", "--face-id", str(uuid4())),
    ],
)
def test_bad_arguments(account: Account, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    Person(account, "frank", 1)
    with pytest.raises(CommandError):
        run(*arguments, "--receipts", str(tmp_path / "receipts"))
    assert Face.objects.unscoped().count() == 1
    assert not (tmp_path / "receipts").exists()


class Diary:
    """Holding of a hypothetical room with a page about a face that refers to another person's event."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def find(self, trace: Trace) -> None:
        for account_id, face_ids in trace.of("face").items():
            trace.held |= {Reference("page", account_id, f"about {face_id}") for face_id in face_ids}
            trace.named |= {Reference("event", account_id, event_id) for event_id in self.events}

    events: ClassVar[list[str]] = []

    def erase(self, trace: Trace) -> None:
        assert connection.in_atomic_block
        self.done += trace.of("page").popitem()[1]

    def clean(self, trace: Trace) -> None:
        assert not connection.in_atomic_block

    def report(self) -> Report:
        return {"pages": self.done}


@pytest.mark.django_db(transaction=True)
def test_a_room_that_registers_takes_part(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heidi = Person(account, "heidi", 1)
    named = make_event(account, user_data="of heidi's diary")
    strangers = make_event(make_account(), user_data="a stranger's")
    monkeypatch.setattr(Diary, "events", [str(named.event_id), str(strangers.event_id)])
    monkeypatch.setitem(holdings._rooms, "diary", Holding(person=Diary))
    receipt = run("--face-id", str(heidi.face.face_id), "--receipts", str(tmp_path / "receipts"))
    assert receipt["pages"] == [f"about {heidi.face.face_id}"]
    assert set(receipt["events"]) == {str(heidi.event.event_id), str(named.event_id)}
    named.refresh_from_db()
    strangers.refresh_from_db()
    assert (named.user_data, strangers.user_data) == ("", "a stranger's")


@pytest.mark.parametrize("external_id", [None, ""])
def test_a_trace_of_everybody_is_refused(external_id: str | None) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Trace(external_id=external_id)
