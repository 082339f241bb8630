"""`manage.py fsck` reports planted faults and repairs those that it can."""

import io
import os
import time
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import redis
from django.core.management import CommandError, call_command

from apps.accounts import kept_answers
from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor
from apps.common.holdings import holdings
from apps.events.models import EventDescriptor
from apps.faces import services
from apps.faces.attributes import KEY, attribute_create
from apps.faces.models import Face, FaceAttribute, FaceDescriptor, List
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.choices import Bucket
from apps.imagestore.models import StoredObject
from apps.imagestore.services import object_store, samples_store
from apps.imagestore.types import NewObject
from tests.factories import make_event, make_version, unit_vectors
from tests.unit.faces.helpers import attribute_data

pytestmark = pytest.mark.usefixtures("store_dir")
VERSION = 903


@pytest.fixture
def _sound(account: UUID, store_dir: Path) -> None:
    """A little platform in which everything agrees."""
    make_version(VERSION, 128)
    samples = samples_store(
        items=[
            NewObject(account_id=account, bucket=Bucket.FACE_SAMPLES, data=b"jpeg", content_type="image/jpeg")
            for _ in range(6)
        ]
    )
    for n in range(3):
        object_store(bucket=Bucket.OBJECTS, account_id=account, data=b"object", content_type="a/b", meta={"n": n})
    list_id = services.list_create(account_id=account).list_id
    drafts = [
        FaceDraft(
            attribute=AttributeData(
                attribute_data(n, VERSION).descriptors, descriptor_samples=(samples[n].object_id,)
            ),
            avatar=f"/6/samples/faces/{samples[n].object_id}",
            lists=(list_id,),
        )
        for n in range(6)
    ]  # fmt: skip
    faces = services.faces_create(account_id=account, drafts=drafts)
    services.face_delete(account_id=account, face_id=faces[0].face_id)


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("fsck", *arguments, stdout=output)
    return output.getvalue()


def kinds(deep: bool = True) -> Counter[str]:
    return Counter(fault.kind for fault in holdings.faults(deep))


@pytest.mark.usefixtures("_sound")
def test_a_sound_platform() -> None:
    assert run("--deep").strip() == "No faults found."


def file_of(store: Path, row: StoredObject, suffix: str = "") -> Path:
    return next(path for path in store.rglob(f"{row.object_id}*") if path.name.endswith(".meta.json") == bool(suffix))


def age(path: Path) -> None:
    os.utime(path, (time.time() - 7200,) * 2)


@pytest.mark.usefixtures("_sound")
def test_planted_faults(account: UUID, store_dir: Path) -> None:
    objects = list(StoredObject.objects.for_account(account).filter(bucket=Bucket.OBJECTS).order_by("pk"))
    faces = list(Face.objects.for_account(account).order_by("pk"))
    lost = StoredObject.objects.for_account(account).get(
        object_id=FaceAttribute.objects.get(face=faces[0]).descriptor_samples[0]
    )
    # Files: one missing, one truncated, one changed, two wrong descriptions, three without row, one too recent.
    file_of(store_dir, lost).unlink()
    file_of(store_dir, objects[0]).write_bytes(b"obj")
    file_of(store_dir, objects[1]).write_bytes(b"OBJECT")
    file_of(store_dir, objects[1], "meta").unlink()
    file_of(store_dir, objects[2], "meta").write_bytes(b"{}")
    orphan = uuid4()
    folder = store_dir / "visionlabs-samples" / str(orphan)[:4]
    folder.mkdir()
    for name in (f"{orphan}.jpg", f"{orphan}.meta.json", f".{orphan}.jpg.0.part"):
        (folder / name).write_bytes(b"x")
        age(folder / name)
    young = folder / f"{orphan}.png"
    young.write_bytes(b"x")
    # Rows: descriptors of a wrong dimension, without attribute, of another generation; a list with inconsistent keys.
    FaceDescriptor.objects.filter(face=faces[1]).update(vector=[1.0, 0.0])
    FaceAttribute.objects.filter(face=faces[2]).delete()
    FaceAttribute.objects.filter(face=faces[3]).update(generation=1)
    List.objects.for_account(account).update(link_key=9)
    expected = {
        "row without file": 1,
        "file of another size": 1,
        "file with other bytes": 1,
        "description missing or different": 2,
        "file without row": 3,
        "descriptor of the wrong dimension": 1,
        "descriptor without attribute": 1,
        "descriptor of replaced samples": 1,
        "list with inconsistent keys": 1,
    }
    assert kinds() == expected
    with pytest.raises(CommandError, match="12 faults are left"):
        run("--deep")
    assert kinds() == expected  # looking changes nothing
    assert not AuditRecord.objects.filter(action="mend").exists()
    with pytest.raises(CommandError, match="2 faults are left"):
        run("--deep", "--mend")
    # The lost row is gone now, so the face that names it shows.
    needs_a_person = {"file of another size": 1, "file with other bytes": 1}
    assert kinds() == needs_a_person
    lines = AuditRecord.objects.filter(action="mend", object_type="fault").values_list("object_id", flat=True)
    of_the_lost_row = {"attribute with a missing sample", "avatar with a missing sample"}
    assert sorted(lines) == sorted((expected.keys() | of_the_lost_row) - needs_a_person.keys())
    assert young.exists()
    assert not StoredObject.objects.unscoped().filter(pk=lost.pk).exists()
    assert FaceAttribute.objects.filter(face=faces[2]).exists()
    assert FaceAttribute.objects.get(face=faces[0]).descriptor_samples == []
    assert Face.objects.for_account(account).get(pk=faces[0].pk).avatar == ""


@pytest.mark.usefixtures("_sound")
@pytest.mark.parametrize(
    ("found", "mended"),
    [
        ((9, 1), (9, 4)),  # more counted than there are
        ((6, 2), (7, 2)),  # fewer counted
        ((5, 0), (6, 1)),  # behind link and log
        ((6, 0), (6, 1)),  # behind the log
        ((4, 9), (14, 9)),
    ],
)
def test_keys_of_lists_only_grow(account: UUID, found: tuple[int, int], mended: tuple[int, int]) -> None:
    """Six faces were linked and one of them deleted."""
    lists = List.objects.for_account(account)
    lists.update(link_key=found[0], unlink_key=found[1])
    assert kinds() == {"list with inconsistent keys": 1}
    assert "All faults repaired." in run("--mend")
    row = lists.get()
    assert (row.link_key, row.unlink_key) == mended
    new = services.face_create(account_id=account, draft=FaceDraft(lists=[row.list_id]))
    services.list_detach_faces(account_id=account, list_id=row.list_id, face_ids=[new.face_id])
    assert kinds() == {}


@pytest.mark.usefixtures("_sound")
def test_a_list_that_goes_while_its_keys_are_mended(account: UUID) -> None:
    lists = List.objects.for_account(account)
    lists.update(link_key=9)
    (fault,) = holdings.faults(deep=False)
    lists.all().delete()
    assert fault.mend is not None
    fault.mend()
    assert kinds() == {}


@pytest.mark.usefixtures("_sound")
def test_descriptors_of_events(account: UUID) -> None:
    owner = Account.objects.get(pk=account)
    vector = unit_vectors(1, 128)[0]
    wrong, right = (make_event(owner, Descriptor(VERSION, vector, 0.9)) for _ in range(2))
    EventDescriptor.objects.filter(event=wrong).update(vector=[1.0, 0.0])
    assert kinds() == {"descriptor of the wrong dimension": 1}
    run("--mend")
    assert [row.event_id for row in EventDescriptor.objects.all()] == [right.pk]


@pytest.mark.usefixtures("_sound")
def test_what_waits_in_redis(account: UUID, redis_client: redis.Redis) -> None:
    kept = attribute_create(account_id=account, data=attribute_data(1)).attribute_id
    attribute_create(account_id=uuid4(), data=attribute_data(2))
    redis_client.set(KEY.format(uuid4()), b"nonsense")
    for owner in (account, uuid4()):
        redis_client.set(kept_answers.KEY.format(owner, "0" * 64), b"an answer")
    expected = {
        "unreadable temporary attribute": 1,
        "temporary attribute of a deleted account": 1,
        "kept answer of no account": 1,
    }
    assert kinds() == expected
    assert "All faults repaired." in run("--mend")
    assert {name.decode() for name in redis_client.scan_iter()} == {
        KEY.format(kept),
        kept_answers.KEY.format(account, "0" * 64),
    }


@pytest.mark.usefixtures("_sound")
def test_lost_samples_of_faces(account: UUID) -> None:
    face = Face.objects.for_account(account).order_by("pk").last()
    assert face is not None
    Face.objects.for_account(account).filter(pk=face.pk).update(avatar="https://elsewhere/6/x.jpg")
    StoredObject.objects.unscoped().filter(bucket=Bucket.FACE_SAMPLES).delete()
    found = kinds()
    assert found["attribute with a missing sample"] == 5
    assert found["avatar with a missing sample"] == 4
