"""The support bundle: what it has, and that no secret, id of a person or picture is in it."""

import base64
import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from apps.accounts.models import Account
from apps.administration import masking, support
from apps.administration.masking import MASK, Masker, secrets_known
from apps.administration.support import bundle_write
from apps.common.config import GROUPS, Directories, Logger, Services, config, door, override_config
from apps.faces.services import face_create
from apps.faces.types import FaceDraft
from apps.monitoring.processes import publish

pytestmark = pytest.mark.django_db
LINE = "2026-11-27 10:00:00,000 ERROR apps.x [1795727647,8ecc7686-24ee-4c9d-9a58-3d2c5a7e9b11] {}\n"


def secret_settings() -> list[tuple[Any, tuple[str, ...]]]:
    return [(model, each.path) for model, group in GROUPS.items() for each in group.variables if each.secret]


def with_value(values: Any, path: tuple[str, ...], value: object) -> Any:
    name, *rest = path
    return values.model_copy(update={name: with_value(getattr(values, name), tuple(rest), value) if rest else value})


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every secret setting has a value that occurs nowhere else; those of running services have theirs."""
    current = {model: config(model) for model in GROUPS}
    found = []
    for number, (model, path) in enumerate(secret_settings()):
        if model is Services and path[0] in ("database_url", "redis_url", "secret_key"):
            continue
        found.append(f"kept-from-everybody-{number:03}")
        current[model] = with_value(current[model], path, SecretStr(found[-1]))
    monkeypatch.setattr(door, "_current", current)
    assert len(found) > 8
    return found


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "var" / "log").mkdir(parents=True)
    with override_config(Directories, var=tmp_path / "var"), override_config(Logger, folder_with_logs=tmp_path / "own"):
        yield tmp_path / "var" / "log"


def members(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_no_secret_is_in_it(secrets: list[str], logs: Path, tmp_path: Path) -> None:
    services = list(secrets_known())
    (logs / "web-1.log").write_text("".join(LINE.format(f"leaked {each} in a text") for each in services))
    (logs.parent / "secrets").mkdir()
    (logs.parent / "secrets" / "own").write_text("content-of-a-secret-file\n")
    (logs / "worker.log").write_text(LINE.format("content-of-a-secret-file") * 3)
    publish("web")
    assert bundle_write(tmp_path / "bundle.zip") == []
    found = members(tmp_path / "bundle.zip")
    everything = "\n".join(found.values())
    assert len(services) > len(secrets)
    assert [each for each in [*services, "content-of-a-secret-file"] if each in everything] == []
    assert found["logs/web-1.log"].count(MASK) == len(services)
    assert stat.S_IMODE((tmp_path / "bundle.zip").stat().st_mode) == 0o600


def test_what_it_has(logs: Path, tmp_path: Path, owner: Account) -> None:
    face = face_create(account_id=owner.pk, draft=FaceDraft(user_data="Ada Lovelace"))
    (logs / "web-1.log").write_text(LINE.format("first") * 1000 + LINE.format(f"Face {face.face_id} is lost"))
    publish("worker")
    assert bundle_write(tmp_path / "bundle.zip", log_bytes=2000) == []
    found = members(tmp_path / "bundle.zip")
    parts = {name: json.loads(text) for name, text in found.items() if name.endswith(".json")}
    assert {"about.json", "machine.json", "system_info.json", "health.json", "processes.json", "database.json"} == set(
        parts
    )
    assert set(parts["system_info.json"]["settings"]) == {group.name for group in GROUPS.values()}
    assert parts["system_info.json"]["license"]
    assert {each["name"] for each in parts["health.json"]} >= {"database", "redis", "image_store", "worker"}
    assert parts["database.json"]["tables"]["faces_face"]["rows"] == 1
    assert parts["database.json"]["migrations_missing"] == []
    assert "monitoring.0001_monthly_counts" in parts["database.json"]["migrations"]
    assert any(each.startswith("django==") for each in parts["about.json"]["packages"])
    assert parts["machine.json"]["processors"]["usable"] >= 1
    assert "luna_process_status_age_seconds" in found["metrics.txt"]
    log = found["logs/web-1.log"].splitlines()
    assert len(log) < 25
    assert log[0] == LINE.format("first").strip()  # no cut line
    everything = "\n".join(found.values())
    for kept in (str(face.face_id), "Ada Lovelace", owner.login, str(owner.pk)):
        assert kept not in everything
    assert "8ecc7686-24ee-4c9d-9a58-3d2c5a7e9b11" in found["logs/web-1.log"]  # of a request


def test_masks() -> None:
    one, other = uuid4(), uuid4()
    masker = Masker()
    picture = base64.b64encode(bytes(range(256))).decode()
    text = masker.all(f"{one} {other} {str(one).upper()} <b>ada@example.com</b> {picture}")
    first, second, third = (text.split(">")[number].strip() for number in range(3))
    assert first == third != second
    assert [each for each in (str(one), str(other), "ada", picture) if each in text] == []
    assert first not in Masker().all(str(one))
    for secret in (
        "https://ada:hidden-word@host/x", "Authorization: Basic YWRhOmhpZGRlbg==", "Bearer hidden-word.abc",
        "password=hidden-word", '"password": "hidden-word"', "{'api_key': 'hidden-word'}", "token = hidden-word, x",
        "-----BEGIN EC PRIVATE KEY-----\nhidden-word\n-----END EC PRIVATE KEY-----",
        "FERNET_PASSPHRASE=hidden-word", "X-Api-Key: hidden-word", "aws_secret_access_key = hidden-word",
        r'"password": "a \" hidden-word"', "Cookie: a=1; luna_session=hidden-word", "SALT_OLD=hidden-word",
        "jwt eyJhbGciOiJIUzI1NiJ9.hidden-word.abc",
    ):  # fmt: skip
        masked = masker.all(secret)
        assert [each for each in ("hidden-word", "YWRh") if each in masked] == []
        assert MASK in masked
    for plain in ('{"token": null, "by_password": true}', '{"secret": {"a": 1}}', '"a-token==1.0",', "luna_tasks 3.0"):
        assert masker.all(plain) == plain
    assert json.loads(masker.all('{"password": "a b", "x": 1}')) == {"password": MASK, "x": 1}


def test_secrets_are_masked_as_logs_write_them(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'a"b\\c ü%/d'
    monkeypatch.setattr(masking, "secrets_known", lambda: masking._parts(secret))
    masker = Masker()
    for written in (
        secret,
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        quote_plus(secret),
    ):
        assert masker.secrets(f"x {written} y") in (f"x {MASK} y", f'x "{MASK}" y', f"x '{MASK}' y")


def test_what_is_away_is_named(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise ConnectionError("postgresql://luna:hidden-word@db/luna is away")

    for name in ("system_info", "_database"):
        monkeypatch.setattr(support, name, away)
    problems = bundle_write(tmp_path / "bundle.zip")
    found = members(tmp_path / "bundle.zip")
    assert [each.partition(":")[0] for each in problems] == ["system_info.json", "database.json"]
    assert found["errors.txt"].splitlines() == problems
    assert "hidden-word" not in found["errors.txt"]
    assert "about.json" in found


def test_the_command(logs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bundle.zip"
    call_command("support_bundle", output=path)
    assert str(path) in capsys.readouterr().out
    with pytest.raises(CommandError, match="File exists"):
        call_command("support_bundle", output=path)
    with pytest.raises(CommandError, match="0 or more"):
        call_command("support_bundle", log_kb=-1)


def test_a_large_table_is_estimated(monkeypatch: pytest.MonkeyPatch, owner: Account) -> None:
    monkeypatch.setattr(support, "COUNTED_ROWS", 0)
    face_create(account_id=owner.pk, draft=FaceDraft())
    tables: Any = support._database()["tables"]
    assert set(tables["faces_face"]) == {"rows_estimate", "bytes"}
