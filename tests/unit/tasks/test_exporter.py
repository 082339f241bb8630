"""The exporter: columns as the API shows them, safe cells, pictures, parts, kills."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common.config import AdditionalServices, OutgoingRequests
from apps.common.descriptors import Descriptor
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.times import format_time
from apps.events.shapes import event_body
from apps.faces.services import face_create, face_delete, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.imagestore.addresses import object_address
from apps.imagestore.choices import Bucket
from apps.tasks import tables
from apps.tasks.pictures import HOST_FAILURES, THREADS
from apps.tasks.tables import DELIMITERS, KINDS
from apps.tasks.types import exporter
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.exporter import TABLE, TYPE
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.archive_tasks import JPEG, Avatars, avatar_server, lines, members, sample, unpacked

pytestmark = pytest.mark.django_db

Configure = Callable[..., None]
MOMENT = datetime(2026, 11, 20, 12, 0, 0, 7, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _unwatched(monkeypatch: pytest.MonkeyPatch, store_dir: Path) -> None:
    """Only the stages themselves pass the places of the double."""
    monkeypatch.setattr(tables, "WATCH_S", 60)


@pytest.fixture
def account() -> Account:
    return make_account()


def export(account: Account | None, **content: Any) -> Outcome:
    scope = Scope(account.account_id if account else None)
    return run_task(TYPE, {"objects_type": "faces", **content}, scope=scope)


def face_ids(rows: list[dict[str, str]]) -> list[str]:
    return [row["face_id"] for row in rows]


def test_faces_are_shown_as_the_api_shows_them(account: Account) -> None:
    lists = [list_create(account_id=account.account_id).list_id for _ in range(2)]
    event_id = uuid4()
    draft = FaceDraft(
        external_id="ext", user_data='Ada, "the"\nfirst', avatar="http://a.test/x?y=1", event_id=event_id, lists=lists,
        create_time=MOMENT,
    )  # fmt: skip
    face = face_create(account_id=account.account_id, draft=draft)
    bare = face_create(account_id=account.account_id, draft=FaceDraft())
    rows, pictures = unpacked(export(account), TABLE)
    assert pictures == {}
    assert rows[0] == {
        "face_id": str(face.face_id),
        "user_data": 'Ada, "the"\nfirst',
        "create_time": "2026-11-20T12:00:00.000007Z",
        "lists": json.dumps([*map(str, lists)], separators=(",", ":")),
        "external_id": "ext",
        "avatar": "http://a.test/x?y=1",
        "event_id": str(event_id),
        "account_id": str(account.account_id),
        "last_update_time": format_time(face.last_update_time),
    }
    assert rows[1]["face_id"] == str(bare.face_id)
    assert (rows[1]["lists"], rows[1]["user_data"], rows[1]["event_id"]) == ("[]", "", "")


def test_every_column_of_events_is_shown_as_the_api_shows_it(account: Account) -> None:
    full: dict[str, Any] = {
        "event_id": uuid4(), "handler_id": uuid4(), "create_time": MOMENT, "end_time": MOMENT + timedelta(seconds=1),
        "source": "door", "stream_id": uuid4(), "track_id": "t1", "external_id": "e", "user_data": "u",
        "tags": ["a", 'b"c'], "meta": {"deep": [1, {"x": None}]}, "city": "Paris", "area": "A", "district": "D",
        "street": "S", "house_number": "1", "longitude": -2.5, "latitude": 48.125, "face_id": uuid4(),
        "attach_result": [uuid4(), uuid4()], "gender": 1, "age": 33, "emotion": 4, "ethnic_group": 2, "mask": 1,
        "liveness": 2, "deepfake": 1, "apparent_gender": 0, "apparent_age": 30, "headwear_state": 1,
        "headwear_apparent_color": 3, "sleeve_length": 1, "upper_clothing_colors": [7, 3], "backpack_state": 0,
        "lower_garment_type": 2, "lower_garment_colors": [0, 14], "shoes_apparent_color": 2,
        "top_matching_candidates_label": 'v"i\\p\n', "top_similar_object_id": uuid4(), "top_similar_object_type": 0,
        "top_similar_object_similarity": 0.875, "top_similar_external_id": "x",
        "match_result": [{"label": "vip", "candidates": []}],
        "face_detections": [{"sample_id": str(uuid4()), "detect_ts": 0.5}],
        "body_detections": [{"sample_id": None}],
    }  # fmt: skip
    stored = make_event(account, **full)
    other = make_event(
        account, top_similar_object_id=uuid4(), top_similar_object_type=1, top_similar_object_similarity=1e-7
    )
    empty = make_event(account)
    rows, _ = unpacked(export(account, objects_type="events"), TABLE)
    assert [*rows[0]] == ["event_id", *KINDS["events"].cells]
    for event, row in zip((stored, other, empty), rows, strict=True):
        event.refresh_from_db()
        shown: dict[str, Any] = {**event_body(event)}
        nested = {**(shown.pop("location") or {}), **(shown.pop("body_basic_attributes") or {})}
        nested |= nested.pop("geo_position") or {}
        upper, lower = shown.pop("upper_body") or {}, shown.pop("lower_body") or {}
        nested |= {
            "headwear_state": upper.get("headwear", {}).get("state"),
            "headwear_apparent_color": upper.get("headwear", {}).get("apparent_color"),
            "sleeve_length": upper.get("sleeve", {}).get("length"),
            "upper_clothing_colors": upper.get("upper_clothing", {}).get("colors"),
            "lower_garment_type": lower.get("lower_garment", {}).get("type"),
            "lower_garment_colors": lower.get("lower_garment", {}).get("colors"),
            "shoes_apparent_color": lower.get("shoes", {}).get("apparent_color"),
            "backpack_state": (shown.pop("accessories") or {}).get("backpack", {}).get("state"),
        }
        shown |= nested
        for name, cell in row.items():
            wanted = shown.get(name)
            if isinstance(wanted, dict | list):
                assert json.loads(cell) == wanted, name
            else:
                assert cell == ("" if wanted is None else str(wanted)), name
    assert {name for name, cell in rows[0].items() if not cell} == set()


@pytest.mark.parametrize("first", "=+-@\t\r\n＝＋－＠")
def test_a_cell_that_a_spreadsheet_would_execute_begins_with_an_apostrophe(account: Account, first: str) -> None:
    text = f"{first}cmd|' /C calc'!A0"
    face_create(account_id=account.account_id, draft=FaceDraft(user_data=text, external_id=f"a{first}b"))
    (row,) = unpacked(export(account, columns=["user_data", "external_id"]), TABLE)[0]
    assert (row["user_data"], row["external_id"]) == (f"'{text}", f"a{first}b")


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_the_delimiter_is_chosen(account: Account, delimiter: str) -> None:
    face = face_create(account_id=account.account_id, draft=FaceDraft(user_data=f"a{delimiter}b"))
    found = lines(export(account, columns=["user_data", "event_id"], csv_delimiter=delimiter), TABLE)
    assert found == [
        delimiter.join(["face_id", "user_data", "event_id"]),
        f'{face.face_id}{delimiter}"a{delimiter}b"{delimiter}',
    ]


def test_texts_are_utf8_and_columns_repeated_by_the_client_appear_once(account: Account) -> None:
    face_create(account_id=account.account_id, draft=FaceDraft(user_data="Ада 李 😀"))
    (row,) = unpacked(export(account, columns=["user_data", "user_data"]), TABLE)[0]
    assert [*row] == ["face_id", "user_data"]
    assert row["user_data"] == "Ада 李 😀"


def test_nothing_found_is_a_table_with_a_header(account: Account) -> None:
    outcome = export(account, filters={"face_ids": [str(uuid4())]}, columns=["avatar"], save_images=1)
    assert lines(outcome, TABLE) == ["face_id,avatar"]


def test_filters_apply_and_other_accounts_are_never_seen(account: Account) -> None:
    other = make_account()
    mine = [face_create(account_id=account.account_id, draft=FaceDraft(user_data=name)) for name in "ab"]
    theirs = face_create(account_id=other.account_id, draft=FaceDraft(user_data="a"))
    assert face_ids(unpacked(export(account, filters={"user_data": "a"}), TABLE)[0]) == [str(mine[0].face_id)]
    named = {"account_id": str(account.account_id)}
    assert len(unpacked(export(account, filters=named, **named), TABLE)[0]) == 2
    foreign = [str(theirs.face_id), str(mine[0].face_id)]
    assert face_ids(unpacked(export(account, filters={"face_ids": foreign}), TABLE)[0]) == [str(mine[0].face_id)]
    everybody = face_ids(unpacked(export(None), TABLE)[0])
    assert everybody == [str(face.face_id) for face in (*mine, theirs)]
    assert face_ids(unpacked(export(None, filters={"account_id": str(other.account_id)}), TABLE)[0]) == [
        str(theirs.face_id)
    ]
    for content in ({"account_id": str(other.account_id)}, {"filters": {"account_id": str(other.account_id)}}):
        with pytest.raises(LunaError) as raised:
            export(account, **content)
        assert raised.value.code == 11069


def test_relative_times_refer_to_the_creation_of_the_task(account: Account) -> None:
    for hours in (1, 3):
        make_event(account, create_time=MOMENT - timedelta(hours=hours))
    content = {"objects_type": "events", "filters": {"create_time__gte": "now-2h"}, "columns": ["create_time"]}
    outcome = run_task(TYPE, content, scope=Scope(account.account_id), create_time=MOMENT)
    assert [row["create_time"] for row in unpacked(outcome, TABLE)[0]] == ["2026-11-20T11:00:00.000007Z"]


def faces_with_pictures(account: Account, server: str) -> dict[str, bytes]:
    """Faces with pictures of each kind; returns the pictures of their archive."""
    version = make_version(7, 4)
    vector = unit_vectors(1, 4)[0]
    described = AttributeData(
        descriptors=(Descriptor(version.version, vector, 1.0),),
        descriptor_samples=(sample(account, data=b"of attribute"),),
    )
    image = sample(account, Bucket.IMAGES, b"own avatar")
    drafts = {
        "attribute": FaceDraft(attribute=described),
        "avatar": FaceDraft(avatar=object_address(Bucket.IMAGES, image), attribute=None),
        "foreign": FaceDraft(avatar=f"{server}/ada"),
        "none": FaceDraft(),
    }
    ids = {name: face_create(account_id=account.account_id, draft=draft).face_id for name, draft in drafts.items()}
    return {
        f"{ids['attribute']}.jpg": b"of attribute",
        f"{ids['avatar']}.jpg": b"own avatar",
        f"{ids['foreign']}.png": b"foreign /ada",
    }


def test_pictures_of_faces_are_avatars_or_samples(account: Account, configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    with avatar_server() as server:
        wanted = faces_with_pictures(account, server)
        outcome = export(account, save_images=1)
    rows, pictures = unpacked(outcome, TABLE)
    assert len(rows) == 4
    assert pictures == wanted
    assert outcome.errors == []
    viewed = AuditRecord.objects.filter(action="view", object_account_id=account.account_id)
    assert sorted(viewed.values_list("object_type", flat=True)) == ["face_sample", "image"]


def test_the_picture_of_an_event_is_its_face_sample_or_its_body_sample(account: Account) -> None:
    face, body = sample(account, data=b"face"), sample(account, Bucket.BODY_SAMPLES, b"body")
    bodies = [{"sample_id": str(body)}]
    both = make_event(account, face_detections=[{"sample_id": None}, {"sample_id": str(face)}], body_detections=bodies)
    alone = make_event(account, body_detections=bodies)
    make_event(account)
    pictures = unpacked(export(account, objects_type="events", save_images=1), TABLE)[1]
    assert pictures == {f"{both.event_id}.jpg": b"face", f"{alone.event_id}.jpg": b"body"}


def test_pictures_that_cannot_be_read_are_errors_and_the_task_goes_on(account: Account, configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    theirs = sample(make_account(), Bucket.IMAGES)
    with avatar_server() as server:
        avatars = {
            28038: [object_address(Bucket.IMAGES, uuid4()), object_address(Bucket.IMAGES, theirs), f"{server}/page"],
            28039: [f"{server}/missing"],
        }
        wanted = {
            str(face_create(account_id=account.account_id, draft=FaceDraft(avatar=avatar)).face_id): code
            for code, each in avatars.items()
            for avatar in each
        }
        good = face_create(account_id=account.account_id, draft=FaceDraft(avatar=f"{server}/good"))
        outcome = export(account, save_images=1)
    assert {error.info: error.code for error in outcome.errors} == wanted
    assert all(error.info in error.detail and "127.0.0.1" not in error.detail for error in outcome.errors)
    assert [*unpacked(outcome, TABLE)[1]] == [f"{good.face_id}.png"]
    assert Avatars.asked.count("/missing") == 3


def test_addresses_inside_the_network_are_not_asked(account: Account) -> None:
    with avatar_server() as server:
        face_create(account_id=account.account_id, draft=FaceDraft(avatar=f"{server}/secret"))
        outcome = export(account, save_images=1)
    assert [error.code for error in outcome.errors] == [28038]
    assert Avatars.asked == []


def test_a_host_that_is_away_is_not_asked_for_every_face(account: Account, configure: Configure) -> None:
    configure(OutgoingRequests, allow_private_urls=True)
    with avatar_server() as server:
        for number in range(30):
            face_create(account_id=account.account_id, draft=FaceDraft(avatar=f"{server}/missing/{number}"))
        outcome = export(account, save_images=1)
    assert [error.code for error in outcome.errors] == [28039] * 30
    assert len(Avatars.asked) <= 3 * (HOST_FAILURES + THREADS)


@pytest.mark.parametrize("images", [0, 1])
def test_parts_are_joined_and_a_killed_worker_changes_nothing(
    account: Account, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    for number in range(7):
        detection = {"sample_id": str(sample(account, data=JPEG + bytes([number])))}
        make_event(account, user_data=f"{number},{number}", face_detections=[detection])
    whole = export(account, objects_type="events", save_images=images)
    monkeypatch.setattr(exporter, "ROWS", 3)
    monkeypatch.setattr(exporter, "ROWS_WITH_PICTURES", 3)
    monkeypatch.setattr(exporter, "PAGE", 2)

    def run(places: Places) -> Outcome:
        content = {"objects_type": "events", "save_images": images}
        return run_task(TYPE, content, scope=Scope(account.account_id), places=places, create_time=MOMENT)

    undisturbed = run(Places())
    assert [part.parts for part in undisturbed.parts] == [3, 3, 1]
    assert unpacked(undisturbed, TABLE) == unpacked(whole, TABLE)
    assert len(unpacked(whole, TABLE)[1]) == 7 * images
    kills = 0
    for _, outcome in runs_killed(run, checks_too=True, step=3):
        assert members(outcome) == members(undisturbed)
        kills += 1
    assert kills > 3
    views = AuditRecord.objects.filter(action="view", object_account_id=account.account_id)
    assert views.count() == 7 * images * (3 + kills)  # one line for each picture of each export
    with pytest.raises(StageCancelled):
        run(Places(cancel_at=undisturbed.checks // 2))


def test_rows_of_the_time_after_the_split_are_not_exported(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    first = face_create(account_id=account.account_id, draft=FaceDraft())
    gone = face_create(account_id=account.account_id, draft=FaceDraft())
    process = TYPE.process

    def later(run: Any) -> Any:
        face_create(account_id=account.account_id, draft=FaceDraft())
        face_delete(account_id=account.account_id, face_id=gone.face_id)
        return process(run)

    monkeypatch.setattr(TYPE, "process", later)
    assert face_ids(unpacked(export(account), TABLE)[0]) == [str(first.face_id)]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"objects_type": None},
        {"objects_type": "people"},
        {"objects_type": 1},
        {"objects_type": ["faces"]},
        {"objects_type": "faces", "columns": ["vector"]},
        {"objects_type": "faces", "columns": ["gender"]},
        {"objects_type": "events", "columns": ["lists"]},
        {"objects_type": "faces", "columns": "user_data"},
        {"objects_type": "faces", "columns": [["user_data"]]},
        {"objects_type": "faces", "columns": [{"user_data": 1}]},
        {"objects_type": "faces", "columns": {"user_data": 1}},
        {"objects_type": "faces", "save_images": 2},
        {"objects_type": "faces", "save_images": "often"},
        {"objects_type": "faces", "save_images": [1]},
        {"objects_type": "faces", "csv_delimiter": "'"},
        {"objects_type": "faces", "csv_delimiter": '"'},
        {"objects_type": "faces", "csv_delimiter": ",,"},
        {"objects_type": "faces", "csv_delimiter": "="},
        {"objects_type": "faces", "csv_delimiter": ""},
        {"objects_type": "faces", "csv_delimiter": 1},
        {"objects_type": "faces", "csv_delimiter": [","]},
        {"objects_type": "faces", "filters": []},
        {"objects_type": "faces", "filters": "all"},
        {"objects_type": "faces", "filters": {"gender": 1}},
        {"objects_type": "faces", "filters": {"create_time__lt": 5}},
        {"objects_type": "faces", "filters": {"create_time__lt": "yesterday"}},
        {"objects_type": "faces", "filters": {"list_id": {"a": 1}}},
        {"objects_type": "faces", "filters": {"account_id": "me"}},
        {"objects_type": "events", "filters": {"tags": {"a": 1}}},
        {"objects_type": "events", "filters": {"origin_longitude": 5}},
        {"objects_type": "events", "filters": {"meta.x__like": [1]}},
        {"objects_type": "faces", "account_id": 1},
        {"objects_type": "faces", "limit": 1},
        [],
        "faces",
        None,
    ],
    ids=str,
)
def test_wrong_contents_are_refused(account: Account, content: Any) -> None:
    with pytest.raises(LunaError) as raised:
        run_task(TYPE, content, scope=Scope(account.account_id))
    assert raised.value.code == 12027


def test_events_that_are_off_are_refused(account: Account, configure: Configure) -> None:
    configure(AdditionalServices, luna_events=False)
    with pytest.raises(LunaError) as raised:
        export(account, objects_type="events")
    assert raised.value.code == 28021


def test_a_full_disk_is_an_error_of_the_task(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    face_create(account_id=account.account_id, draft=FaceDraft(user_data="x"))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zipfile._ZipWriteFile.write", full)
    with pytest.raises(LunaError) as raised:
        export(account)
    assert raised.value.code == 28011
    monkeypatch.undo()
    monkeypatch.setattr("zipfile.ZipFile._write_end_record", full)
    with pytest.raises(LunaError) as raised:
        export(account)
    assert raised.value.code == 28012
