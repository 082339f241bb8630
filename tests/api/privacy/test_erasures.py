"""`POST /6/erasures` erases a person of the account, and answers with the receipt."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from apps.accounts.models import Account, AuditRecord
from apps.common.config import Directories
from apps.common.redis_client import RedisAwayError
from apps.events.models import Event
from apps.faces.models import Face
from apps.imagestore.models import StoredObject
from tests.api.helpers import refused
from tests.factories import basic_client, make_account, token_client
from tests.unit.privacy.helpers import Person, mention

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store_dir")]
JSON = "application/json"
RIGHTS = {kind: ["deletion"] for kind in ("face", "attribute", "face_sample", "body_sample", "image")}


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture
def client(account: Account) -> Client:
    return basic_client(account)


@pytest.fixture(autouse=True)
def _receipts(tmp_path: Path, configure: Callable[..., None]) -> None:
    configure(Directories, var=tmp_path / "var")


def erase(client: Client, **body: Any) -> Any:
    return client.post("/6/erasures", body, JSON)


@pytest.mark.parametrize("by", ["face", "external id"])
def test_a_person_is_erased_and_nobody_else(account: Account, client: Client, tmp_path: Path, by: str) -> None:
    ada, bob = Person(account, "ada-x", 1), Person(account, "bob-y", 2)
    named = {"face_id": str(ada.face.face_id)} if by == "face" else {"external_id": "ada-x"}
    mentioned = mention(account, ada, bob)

    preview = erase(client, **named, dry_run=True)
    assert preview.status_code == 201
    assert Face.objects.unscoped().filter(pk=ada.face.pk).exists()
    assert not AuditRecord.objects.filter(action="erase").exists()

    answer = erase(client, **named)
    receipt = answer.json()
    assert answer.status_code == 201
    assert (receipt["faces"], receipt["events"]) == ([str(ada.face.face_id)], [str(ada.event.event_id)])
    assert (len(receipt["objects"]), receipt["mentions"], receipt["temporary_attributes"]) == (5, 1, 1)
    assert (receipt["files_left"], receipt["dry_run"]) == ([], False)
    assert receipt["objects"] == preview.json()["objects"]
    kept = json.loads((tmp_path / "var" / "receipts" / f"erase-{receipt['receipt_id']}.json").read_text())
    assert kept == receipt | {"rows": {}}

    assert [*Face.objects.unscoped()] == [bob.face]
    assert StoredObject.objects.unscoped().count() == 5
    assert Event.objects.unscoped().get(pk=ada.event.pk).external_id in ("", None)
    mentioned.refresh_from_db()
    assert [each["face"]["user_data"] for each in mentioned.match_result[0]["candidates"]] == ["bob-y"]

    (line,) = AuditRecord.objects.filter(object_type="person")
    assert (line.action, line.object_id, line.object_account_id) == ("erase", receipt["receipt_id"], account.pk)
    lines = AuditRecord.objects.filter(action="erase")
    assert lines.count() == 8
    assert {(each.account_id, each.remote_address) for each in lines} == {(account.pk, "127.0.0.1")}

    code = 22002 if by == "face" else 11041
    refused(erase(client, **named), 404, code)


def test_another_account_is_not_reached(account: Account) -> None:
    ada, namesake = Person(account, "ada-x", 1), Person(make_account(), "ada-x", 2)
    foreign = mention(namesake.event.account, ada)
    stranger = basic_client(make_account())
    refused(erase(stranger, face_id=str(ada.face.face_id)), 404, 22002)
    refused(erase(stranger, external_id="ada-x"), 404, 11041)
    assert not AuditRecord.objects.filter(action="erase").exists()

    assert erase(basic_client(account), external_id="ada-x").json()["mentions"] == 0
    assert [*Face.objects.unscoped()] == [namesake.face]
    foreign.refresh_from_db()
    assert foreign.top_similar_object_id == ada.face.face_id
    assert Event.objects.unscoped().get(pk=namesake.event.pk).external_id == "ada-x"


def test_an_external_id_is_compared_unchanged(account: Account, client: Client) -> None:
    """Faces keep spaces in external ids: ` ada-x` is another person."""
    ada, spaced = Person(account, "ada-x", 1), Person(account, " ada-x", 2)
    refused(erase(client, external_id="ada-x "), 404, 11041)
    assert erase(client, external_id=" ada-x").json()["faces"] == [str(spaced.face.face_id)]
    assert [*Face.objects.unscoped()] == [ada.face]


@pytest.mark.parametrize("missing", RIGHTS)
def test_a_token_needs_all_rights(account: Account, missing: str) -> None:
    ada = Person(account, "ada-x", 1)
    some = {kind: rights for kind, rights in RIGHTS.items() if kind != missing}
    detail = refused(erase(token_client(account, **some), face_id=str(ada.face.face_id)), 403, 11059)
    assert missing in detail
    assert Face.objects.unscoped().count() == 1


def test_a_failed_clean_up_leaves_the_others_and_the_receipt(
    account: Account, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are erased by then, so a repeated request would find nobody."""

    def away(self: object, trace: object) -> None:
        raise RedisAwayError

    ada = Person(account, "ada-x", 1)
    monkeypatch.setattr("apps.faces.erasure.PersonFaces.clean", away)
    monkeypatch.setattr("apps.matching.erasure.PersonSegments.clean", away)
    receipt = erase(client, face_id=str(ada.face.face_id)).json()
    assert (receipt["faces"], receipt["files_left"]) == ([str(ada.face.face_id)], [])
    assert (tmp_path / "var" / "receipts" / f"erase-{receipt['receipt_id']}.json").exists()
    assert caplog.text.count(f"The clean-up of erasure {receipt['receipt_id']} failed in part") == 2


def test_a_token_with_all_rights(account: Account) -> None:
    ada = Person(account, "ada-x", 1)
    assert erase(token_client(account, **RIGHTS), face_id=str(ada.face.face_id)).status_code == 201
    assert AuditRecord.objects.filter(action="erase", token_id__isnull=False).count() == 8


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"face_id": str(UUID(int=1)), "external_id": "x"},
        {"face_id": "no-uuid"},
        {"external_id": ""},
        {"external_id": "x" * 37},
        {"external_id": None},
        {"external_id": 17},
        {"external_id": "a\0b"},
        {"face_id": 17},
        {"external_id": "x", "dry_run": "perhaps"},
        {"external_id": "x", "all": True},
    ],
)
def test_bad_bodies(client: Client, body: dict[str, Any]) -> None:
    refused(erase(client, **body), 400, 12027)


def test_without_credentials(account: Account) -> None:
    ada = Person(account, "ada-x", 1)
    assert erase(Client(), face_id=str(ada.face.face_id)).status_code == 403
    assert Face.objects.unscoped().count() == 1


def test_a_receipt_that_cannot_be_written_is_still_answered(
    account: Account, client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ada = Person(account, "ada-x", 1)
    (tmp_path / "var").write_text("in the way")
    receipt = erase(client, face_id=str(ada.face.face_id)).json()
    assert receipt["faces"] == [str(ada.face.face_id)]
    assert receipt["receipt_id"] in caplog.text
