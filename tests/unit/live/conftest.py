"""A running process that applies what the Configurator stores."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from apps.accounts.models import Account
from apps.common.config import Directories, Scope, after_refresh, override_config, refresh, stored_source, use_stored
from apps.configurator import services
from apps.configurator.models import Setting
from apps.configurator.reloading import Reloader
from apps.configurator.services import SettingDraft
from tests.factories import make_account
from tests.unit.live.table import paths, settings_of

Store = Callable[..., None]


@pytest.fixture
def store(db: None, tmp_path: Path, settings: Settings, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Store the values of a group, `store("LUNA_PAGING", max_page_size=5)`, and let the process poll.

    The test fails if it did not change the settings that `live` names.
    """
    before, known = stored_source(), frozenset(settings_of(Scope.LIVE, Scope.ENGINE))
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS]  # restored after the test
    changed: set[str] = set()
    (tmp_path / "tmp").mkdir()
    with override_config(Directories, var=tmp_path):
        process = Reloader()
        process.poll()

        def change(group: str, **value: Any) -> None:
            setting = Setting.objects.get(limitation__limitation_name=group, is_default=True)
            services.setting_replace(setting_id=setting.pk, draft=SettingDraft(name=group, value=value))
            process.poll()
            assert process.error == ""
            changed.update(paths(group, value, known=known))

        yield change
    use_stored(before)
    restored = refresh()
    for effect in after_refresh:
        effect(restored)
    names = set(request.function.live)
    assert names & changed if hasattr(request.node, "callspec") else names <= changed


@pytest.fixture
def account(db: None) -> Account:
    return make_account()
