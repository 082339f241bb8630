"""`manage.py networks`: build, list, verify."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError

from apps.accounts.models import AuditRecord
from apps.common.config import Directories, override_config
from apps.recognition.management.commands import networks as command
from apps.recognition.networks import builder
from tests.unit.recognition.networks.own import onnx_file, own_manifest
from tests.unit.recognition.networks.tiny import TinySet

Call = Callable[..., str]


@pytest.fixture
def call(tiny: TinySet, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the command on the tiny set and return its output."""
    monkeypatch.setattr(command, "Registry", lambda _: tiny.registry())

    def run(*arguments: str) -> str:
        out = StringIO()
        with override_config(Directories, networks=tiny.networks, cache=tiny.cache):
            call_command("networks", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    return run


def test_build_then_list(call: Call) -> None:
    assert "missing" in call("list")
    assert "built 1 networks" in call("build")
    header, row = call("list").splitlines()
    assert header.split() == ["network", "task", "pack", "licence", "upstream", "KB", "state"]
    assert row.split() == ["tiny", "emotion*", "–", "MIT", "MIT", "1", "installed"]


def test_the_second_build_converts_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    call("build")
    monkeypatch.setattr(builder, "source_files", None)
    monkeypatch.setattr(builder, "convert", None)
    assert "nothing to build" in call("build")


def test_a_wrong_hash_ends_with_an_error(call: Call, tiny: TinySet) -> None:
    (tiny.package / "model.bin").write_bytes(b"other")
    with pytest.raises(CommandError, match="refused") as raised:
        call("build")
    assert raised.value.returncode == 1
    assert not (tiny.networks / "tiny.onnx").exists()


def test_an_unknown_network_is_refused(call: Call) -> None:
    with pytest.raises(CommandError, match="network 'absent' is unknown"):
        call("build", "absent")


def test_verify_needs_a_network(call: Call) -> None:
    with pytest.raises(CommandError, match=r"run `.venv/bin/python manage.py networks build`"):
        call("verify")


def test_verify_prints_the_differences() -> None:
    out = StringIO()
    call_command("networks", "verify", "liveness", "emotion", stdout=out)
    header, *rows = out.getvalue().splitlines()
    assert header.split() == ["network", "output", "difference", "allowed"]
    assert [row.split()[0] for row in rows] == ["liveness", "emotion"]
    assert all(row.endswith("ok") for row in rows)


def test_verify_refuses_a_network_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.recognition.networks.reference.difference", lambda *_: 1.0)
    out = StringIO()
    with pytest.raises(CommandError, match="differ from their reference"):
        call_command("networks", "verify", "liveness", stdout=out)
    assert "DIFFERS" in out.getvalue()


@pytest.mark.django_db
def test_add_use_and_remove(call: Call, tiny: TinySet, tmp_path: Path) -> None:
    call("build")
    data = onnx_file()
    (tmp_path / "own.onnx").write_bytes(data)
    (tmp_path / "own.toml").write_text(own_manifest(data, tiny))
    printed = call("add", str(tmp_path / "own.toml"), "--from", str(tmp_path))
    offered, added = printed.splitlines()[1], printed.splitlines()[3]
    assert offered.split()[:3] == ["own", "emotion", "MIT"]
    assert added.split()[:3] == ["emotion", "tiny", "own"]
    chosen = "`.venv/bin/python manage.py networks use emotion own`"
    assert f"own does not serve its task yet; to select it run {chosen}" in printed
    assert "own serves emotion" in call("use", "emotion", "own")
    assert "emotion*" in next(line for line in call("list").splitlines() if line.startswith("own"))
    with pytest.raises(CommandError, match="own is in use"):
        call("remove", "own")
    call("use", "emotion", "tiny")
    assert "removed own" in call("remove", "own")
    lines = AuditRecord.objects.order_by("id").values_list("action", "object_type", "object_id")
    assert [" ".join(line) for line in lines] == [
        "add network own", "use network own", "use network tiny", "remove network own",
    ]  # fmt: skip


@pytest.mark.parametrize("error", [OperationalError("no socket\nDoes it run?"), ProgrammingError("no table")])
def test_networks_may_come_before_the_database(call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def audit_write(**_: object) -> None:
        raise error

    call("build")
    monkeypatch.setattr(command, "audit_write", audit_write)
    said, done = call("use", "emotion", "tiny").splitlines()
    assert said == f"no audit line was written: {str(error).splitlines()[0]}"
    assert "tiny serves emotion" in done


@pytest.mark.django_db
def test_add_and_use_at_once(call: Call, tiny: TinySet, tmp_path: Path) -> None:
    data = onnx_file()
    (tmp_path / "own.onnx").write_bytes(data)
    (tmp_path / "own.toml").write_text(own_manifest(data, tiny))
    printed = call("add", str(tmp_path / "own.toml"), "--from", str(tmp_path), "--use")
    assert "own serves emotion after the next start; it replaces tiny" in printed
    assert set(AuditRecord.objects.values_list("action", "object_id")) == {("add", "own"), ("use", "own")}


@pytest.mark.django_db
@pytest.mark.parametrize("use", [(), ("--use",)])
def test_of_what_serves_already_nothing_is_said(call: Call, tiny: TinySet, use: tuple[str, ...]) -> None:
    call("build")
    *_, row = call("add", "tiny", *use).splitlines()
    assert row.split()[:3] == ["emotion", "tiny", "tiny"]


def test_bench_measures_every_batch_size(call: Call) -> None:
    call("build")
    header, *rows = call("bench", "--seconds", "0", "--device", "cpu").splitlines()
    assert header.split("  ")[0] == "network"
    cells = [row.split() for row in rows]
    assert [row[:3] for row in cells] == [["tiny", "cpu", "1"], ["tiny", "cpu", "2"]]
    for row in cells:
        batch_ms, images_per_s = float(row[3]), float(row[6].replace(",", ""))
        assert 0 < float(row[4]) <= batch_ms
        assert images_per_s * batch_ms / 1e3 == pytest.approx(int(row[2]), rel=0.3)


def test_bench_on_a_device_that_is_not_there_says_so(call: Call) -> None:
    call("build")
    with pytest.raises(CommandError, match="LUNA_DEVICE must be cpu, cuda or cuda:N, got 'tpu'"):
        call("bench", "--device", "tpu")


def test_bench_of_a_network_that_is_not_installed_says_so(call: Call) -> None:
    with pytest.raises(CommandError, match="tiny is not installed"):
        call("bench", "tiny")


@pytest.fixture
def recommended(tiny: TinySet, tmp_path: Path) -> Path:
    """A network `own` of the project, in the pack `recommended`, for the task that `tiny` serves; its folder."""
    data = onnx_file()
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "own.onnx").write_bytes(data)
    text = own_manifest(data, tiny).replace('pack = "better"', 'pack = "recommended"\nfigures = "right 9 of 10"')
    (tiny.manifests / "own.toml").write_text(text)
    return folder


def test_what_is_known_of_a_network_is_shown_before_it_is_added(call: Call, recommended: Path) -> None:
    call("build")
    printed = call("add", "recommended", "--from", str(recommended), "--dry-run")
    assert printed.splitlines()[1].split()[:3] == ["own", "emotion", "MIT"]
    assert "right 9 of 10" in printed
    assert "own" not in [row.split()[0] for row in call("list").splitlines() if row.endswith("installed")]
    (recommended / "own.onnx").write_bytes(b"another file")
    with pytest.raises(CommandError, match="refused"):
        call("add", "recommended", "--from", str(recommended))


@pytest.mark.django_db
@pytest.mark.parametrize("advisory", [False, True])
def test_a_recommended_network_serves_at_once_where_an_advisory_one_did(
    call: Call, tiny: TinySet, recommended: Path, advisory: bool
) -> None:
    if advisory:
        text = tiny.manifest_file.read_text().replace("default = true", "default = true\nadvisory = true")
        tiny.manifest_file.write_text(text)
    call("build")
    printed = call("add", "recommended", "--from", str(recommended))
    assert ("own serves emotion after the next start" in printed) is advisory
    assert ("own does not serve its task yet" in printed) is not advisory
