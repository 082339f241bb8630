"""`manage.py demo` against a running platform."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
from PIL import Image

from apps.common.config import Directories, config
from apps.recognition.networks.samples import sample_photographs
from luna.embedded.addresses import CHECKOUT
from tests.system.helpers import ADMIN_LOGIN, Platform


def demo(platform: Platform, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "demo", "--url", platform.url, "--output", str(output), *arguments]
    environment = platform.environment | {"LUNA_CACHE_DIR": str(config(Directories).cache)}
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def accounts(platform: Platform) -> set[str]:
    answer = httpx.get(f"{platform.url}/6/accounts?page_size=100", auth=(ADMIN_LOGIN, platform.admin_password))
    return {account["login"] for account in answer.json()["accounts"]}


def test_the_sample_person_is_recognised_and_nothing_is_left(platform: Platform, tmp_path: Path) -> None:
    done = demo(platform, tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "The one person who is in two photographs was recognised, and no other face." in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 500_000
    message = json.loads((tmp_path / "event.json").read_text())
    assert message["event"]["tags"] == ["recognised"]
    assert message["event"]["source"] == "sample3.jpg"
    with Image.open(tmp_path / "sample3.annotated.jpg") as picture:
        assert picture.width == 1280
    assert not any(login.startswith("demo-") for login in accounts(platform))


def test_a_folder_of_ones_own(platform: Platform, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sample_photographs(config(Directories).cache)[3:5]:
        shutil.copy(path, photos)
    Image.new("RGB", (320, 240), "green").save(photos / "sample9-nobody.png")
    (photos / "sample0-broken.jpg").write_bytes(b"no picture at all")

    done = demo(platform, tmp_path / "out", "--photos", str(photos))

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_folder_without_faces_is_said(platform: Platform, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (320, 240), "green").save(tmp_path / name)

    done = demo(platform, tmp_path / "out", "--photos", str(tmp_path))

    assert done.returncode == 1
    assert "No face was found" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(login.startswith("demo-") for login in accounts(platform))
