"""Running processes: they apply new stored settings together, or keep the old ones and say why."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.common.config import (
    Directories,
    Http,
    Images,
    Paging,
    config,
    override_config,
    refresh,
    stored_source,
    use_stored,
)
from apps.configurator import services
from apps.configurator.models import Setting, State
from apps.configurator.reloading import Reloader
from apps.configurator.services import SettingDraft
from apps.configurator.stored import KEPT, kept_read
from apps.recognition.run import facade

pytestmark = pytest.mark.django_db


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Reloader]:
    """Return the reload of a process that has started."""
    before = stored_source()
    with override_config(Directories, var=tmp_path):
        found = Reloader()
        found.poll()
        yield found
    use_stored(before)
    refresh()


def change(name: str, value: dict[str, Any]) -> None:
    setting = Setting.objects.get(limitation__limitation_name=name, is_default=True)
    services.setting_replace(setting_id=setting.pk, draft=SettingDraft(name=name, value=value))


def damage(name: str, value: dict[str, Any]) -> None:
    """Store a value without a check, as another release might."""
    Setting.objects.filter(limitation__limitation_name=name).update(value=value)
    State.objects.update(version=State.objects.get().version + 1)


def test_a_change_takes_effect_at_the_next_poll(process: Reloader) -> None:
    change("LUNA_PAGING", {"default_page_size": 20})
    assert config(Paging).default_page_size == 10
    process.poll()
    assert config(Paging).default_page_size == 20
    assert process.status()["version"] == State.objects.get().version
    assert kept_read(config(Directories).var / KEPT)("LUNA_PAGING") == {"default_page_size": 20}


def test_settings_of_the_start_wait_for_it(process: Reloader) -> None:
    change("LUNA_API_HTTP_SETTINGS", {"json_max_size": 5000})
    process.poll()
    assert config(Http).json_max_size == 64 * 1024**2
    assert process.status()["restart"] == "LUNA_API_HTTP_SETTINGS"


def test_a_failure_keeps_all_values_and_says_why(process: Reloader, caplog: pytest.LogCaptureFixture) -> None:
    change("LUNA_PAGING", {"default_page_size": 20})
    damage("LUNA_LOGINS", {"failed_logins": "many"})
    caplog.set_level(logging.ERROR)
    for _ in range(3):
        process.poll()
    assert config(Paging).default_page_size == 10
    assert "LUNA_LOGINS > failed_logins" in str(process.status()["error"])
    assert len(caplog.records) == 1
    damage("LUNA_LOGINS", {})
    process.poll()
    assert (config(Paging).default_page_size, process.status()["error"]) == (20, "")


def test_a_failure_undoes_the_effects_of_other_groups(process: Reloader, monkeypatch: pytest.MonkeyPatch) -> None:
    """One change sets pages and an engine that cannot start: what has followed the pages follows them back."""
    seen: list[int] = []

    def fail(changed: object) -> None:
        raise RuntimeError("no such device")

    monkeypatch.setattr(
        "apps.configurator.reloading.after_refresh",
        [lambda changed: seen.append(config(Paging).default_page_size), fail],
    )
    config(Paging)
    change("LUNA_PAGING", {"default_page_size": 20})
    process.poll()
    assert seen == [20, 10]
    assert process.status()["error"] == "no such device"


def test_a_database_that_is_away_changes_nothing(
    process: Reloader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(read: Any) -> Any:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr("apps.configurator.reloading._read", away)
        process.poll()
        process.poll()
    assert [record.message for record in caplog.records].count(
        "Stored settings cannot be read, the present ones stay: away"
    ) == 1
    change("LUNA_PAGING", {"default_page_size": 20})
    process.poll()
    assert config(Paging).default_page_size == 20


def test_a_change_of_the_engine_makes_a_new_one(process: Reloader) -> None:
    former = facade.engine()
    change("LUNA_IMAGES", {"max_pixels": 1_000_000})
    process.poll()
    try:
        assert facade.engine() is not former
        assert facade.engine().config.max_image_pixels == 1_000_000
        change("LUNA_REMOTE_SDK_RUNTIME_SETTINGS", {"global_device_class": "cuda:7"})
        change("LUNA_IMAGES", {"max_pixels": 2_000_000})
        process.poll()
        assert process.status()["error"]
        assert facade.engine().config.max_image_pixels == config(Images).max_pixels == 1_000_000
    finally:
        facade.shut_down()
        former.close()
