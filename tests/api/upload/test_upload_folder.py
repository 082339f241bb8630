"""`manage.py upload_folder` against a running server."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from apps.accounts.models import Account, Token
from apps.common.config import ExternalAddress
from apps.faces.models import Face, List
from apps.imagestore.models import StoredObject
from luna.embedded.supervisor import State
from luna.management.commands import upload_folder
from luna.upload.journal import Begun, Journal
from tests.factories import make_account
from tests.platform import platform
from tests.unit.recognition import pictures


@dataclass
class Folder:
    source: Path
    logs: Path
    account: Account
    call: Callable[..., str]

    def records(self, name: str) -> list[dict[str, Any]]:
        (path,) = self.logs.glob(f"*_{name}")
        return [json.loads(line) for line in path.read_text().splitlines()]

    def start(self) -> str:
        (path,) = self.logs.glob("*_state.txt")
        return path.name.removesuffix("_state.txt")


@pytest.fixture
def folder(transactional_db: None, tmp_path: Path, configure: Callable[..., None]) -> Iterator[Folder]:
    source = tmp_path / "photos"
    source.mkdir()
    account = make_account()
    with platform(threads=2) as port:
        configure(ExternalAddress, origin=f"http://127.0.0.1:{port}")

        def call(*arguments: str) -> str:
            out = io.StringIO()
            call_command(
                "upload_folder",
                f"--source={source}",
                "--warped=0",
                f"--account_id={account.account_id}",
                f"--origin=http://127.0.0.1:{port}",
                f"--logs={tmp_path / 'logs'}",
                *arguments,
                stdout=out,
            )
            return out.getvalue()

        yield Folder(source, tmp_path / "logs", account, call)


def save(path: Path, pixels: Any) -> None:
    Image.fromarray(pixels).save(path)


def test_faces_of_photographs(folder: Folder) -> None:
    save(folder.source / "ada.png", pictures.astronaut())
    Image.new("RGB", (320, 240), "green").save(folder.source / "empty.jpg")
    (folder.source / "notes.txt").write_text("no picture")
    (folder.source / "broken.jpg").write_bytes(b"\xff\xd8\xffnot a picture")
    with pytest.raises(CommandError, match=r"2 of 3 images failed"):
        folder.call("--descriptor=1", "--avatar=1", "--name_as_userdata=1", "--list_userdata=guests")
    (face,) = Face.objects.for_account(folder.account.account_id)
    assert face.user_data == "ada.png"
    assert face.avatar.startswith("/6/samples/faces/")
    (guests,) = List.objects.for_account(folder.account.account_id)
    assert guests.user_data == "guests"
    assert face.links.get().list_id == guests.pk
    assert folder.records("success_log.txt") == [{"image name": "ada.png", "face id": [str(face.face_id)]}]
    failed = {record["image name"]: record["error"] for record in folder.records("error_log.txt")}
    assert failed["empty.jpg"] == "No face was found."
    assert failed["broken.jpg"].startswith("1")
    assert not Token.objects.unscoped().exists()

    save(folder.source / "empty.jpg", pictures.astronaut())
    (folder.source / "broken.jpg").unlink()
    folder.call("--descriptor=1", f"--resume={folder.start()}")
    assert Face.objects.for_account(folder.account.account_id).count() == 2
    assert List.objects.for_account(folder.account.account_id).count() == 1


def test_an_interrupted_upload_creates_no_face_twice(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is killed after the face was created and before it was recorded."""
    save(folder.source / "ada.png", pictures.astronaut())

    def killed(self: Journal, name: str, face_ids: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "succeeded", killed)
        patch.setattr(upload_folder, "token_delete", lambda **token: None)
        with pytest.raises(KeyboardInterrupt):
            folder.call("--list_linked=0")
    (face,) = Face.objects.for_account(folder.account.account_id)
    folder.call("--list_linked=0", f"--resume={folder.start()}")
    assert Face.objects.for_account(folder.account.account_id).count() == 1
    assert folder.records("success_log.txt") == [{"image name": "ada.png", "face id": [str(face.face_id)]}]


def test_the_major_face_alone_stays(folder: Folder) -> None:
    portrait = pictures.astronaut()
    small = Image.fromarray(portrait).resize((256, 256))
    both = Image.new("RGB", (800, 512), "white")
    both.paste(Image.fromarray(portrait), (0, 0))
    both.paste(small, (530, 0))
    both.save(folder.source / "two.png")
    with pytest.raises(CommandError, match="1 of 1 images failed"):
        folder.call()
    folder.call("--get_major_detection=1", "--avatar=1")
    (face,) = Face.objects.for_account(folder.account.account_id)
    (sample,) = StoredObject.objects.for_account(folder.account.account_id)
    assert face.avatar.endswith(str(sample.object_id))


def test_rejected_faces_leave_no_sample(folder: Folder) -> None:
    save(folder.source / "ada.png", pictures.astronaut())
    with pytest.raises(CommandError, match="1 of 1 images failed"):
        folder.call("--descriptor=1", "--score_threshold=1")
    assert not StoredObject.objects.for_account(folder.account.account_id).exists()
    assert not Face.objects.for_account(folder.account.account_id).exists()


def test_foreign_lists_end_the_upload(folder: Folder) -> None:
    save(folder.source / "ada.png", pictures.astronaut())
    foreign = List.objects.create(account=make_account())
    with pytest.raises(CommandError, match="22003"):
        folder.call(f"--list_id={foreign.list_id}")
    assert not Face.objects.unscoped().exists()


def test_wrong_credentials_end_the_upload(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    save(folder.source / "ada.png", pictures.astronaut())
    monkeypatch.setenv("LUNA_TOKEN", "wrong")
    with pytest.raises(CommandError, match="11062"):
        folder.call()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--descriptor=2"], "must be 0 or 1, got '2'"),
        (["--yaw_threshold=181"], "must be 0 to 180, got '181'"),
        (["--score_threshold=nan"], "must be 0 to 1, got 'nan'"),
        (["--concurrency=0"], "must be 1 to 100, got '0'"),
        ([], "`--account_id`, `--token-file` or the environment variable LUNA_TOKEN is required"),
        (["--account_id=x"], "`--account_id` must be a UUID, got 'x'"),
        (["--token-file=nowhere"], "`--token-file`: .*No such file"),
        (["--resume=yesterday"], "is not the state of an upload"),
        (["--source=nowhere"], "No such file"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: list[str], problem: str) -> None:
    save(tmp_path / "ada.png", pictures.astronaut())
    with pytest.raises(CommandError, match=problem):
        call_command("upload_folder", f"--source={tmp_path}", "--warped=0", f"--logs={tmp_path}", *arguments)


def test_an_expired_attribute_is_extracted_again(folder: Folder) -> None:
    """The record of a crash names an attribute that no longer exists."""
    save(folder.source / "ada.png", pictures.astronaut())
    with Journal.create(folder.logs) as journal:
        journal.opened(source=folder.source.resolve(), list_id=None)
        body = {"attribute": {"attribute_id": "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e"}}
        journal.begun(Begun("ada.png", (body,)))
    folder.call(f"--resume={folder.start()}")
    assert Face.objects.for_account(folder.account.account_id).count() == 1


def test_cut_records_are_left_out(tmp_path: Path) -> None:
    with Journal.create(tmp_path) as journal:
        journal.opened(source=tmp_path, list_id=None)
        journal.succeeded("a.png", ["1"])
    with journal.path("success_log.txt").open("ab") as file:
        file.write(b'{"image na')
    with Journal(tmp_path, journal.start) as again:
        assert again.done() == {"a.png"}
        again.succeeded("b.png", ["2"])
    assert Journal(tmp_path, journal.start).done() == {"a.png", "b.png"}


def test_the_own_platform_is_where_its_processes_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    state = State("http://127.0.0.1:5913", "", {}, {"web-1": 1})
    monkeypatch.setattr(upload_folder, "read_state", lambda var: state)
    assert upload_folder._own_addresses()[0] == state.url
    monkeypatch.setattr(upload_folder, "read_state", lambda var: replace(state, running={}))
    assert state.url not in upload_folder._own_addresses()
