"""Settings, limitations and groups: rules of writes, history and undo, and what the settings door reads."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from django.db import connection

from apps.common import errors
from apps.common.config import Paging, SettingsError, config, refresh, stored_source, use_stored
from apps.common.errors import LunaError
from apps.configurator import selectors, services
from apps.configurator.models import Change, Limitation, Setting, State
from apps.configurator.platform import groups
from apps.configurator.selectors import SettingFilters
from apps.configurator.services import LimitationDraft, SettingDraft
from apps.configurator.stored import StartValues, kept_read, kept_write, snapshot_at_start, snapshot_of, values_read
from apps.configurator.undo import UndoError, change_undo

pytestmark = pytest.mark.django_db
PAGING = "LUNA_PAGING"


def default(name: str) -> Setting:
    return Setting.objects.select_related("limitation").get(limitation__limitation_name=name, is_default=True)


def paging(size: int, *, tags: tuple[str, ...] = (), name: str = PAGING) -> SettingDraft:
    return SettingDraft(name=name, value={"default_page_size": size, "max_page_size": 1000}, tags=tags)


def replaced(setting: Setting, draft: SettingDraft) -> Setting:
    return services.setting_replace(setting_id=setting.pk, draft=draft)


def queue(**changes: Any) -> LimitationDraft:
    facts: dict[str, Any] = {
        "name": "DETECTOR_QUEUE",
        "schema": {
            "type": "object",
            "properties": {"key": {"type": "string"}},
            "required": ["key"],
            "additionalProperties": False,
        },
        "services": ["queues"],
        "default_value": {"key": "detector"},
    }
    return LimitationDraft(**(facts | changes))


def code_of(wrong: Any) -> int:
    code: int = wrong.value.code
    return code


@pytest.fixture
def stored() -> Iterator[Any]:
    """Return a function that makes the stored values those of this process."""
    before, held = stored_source(), config(Paging)

    def apply() -> None:
        with connection.cursor() as cursor:
            use_stored(values_read(cursor, {}))
        refresh()

    yield apply
    use_stored(before)
    refresh()
    assert config(Paging) == held


def test_every_group_of_settings_has_a_limitation_and_a_default_setting() -> None:
    assert set(Limitation.objects.filter(platform=True).values_list("limitation_name", flat=True)) == set(groups())
    assert Setting.objects.filter(is_default=True).count() == len(groups())
    assert Setting.objects.exclude(value={}).count() == 0


def test_a_setting_stores_the_difference_and_reaches_the_door(stored: Any) -> None:
    version = State.objects.get().version
    setting = services.setting_replace(setting_id=default(PAGING).pk, draft=paging(20))
    assert setting.value == {"default_page_size": 20}
    assert selectors.value_of(setting) == {"default_page_size": 20, "max_page_size": 1000}
    assert State.objects.get().version == version + 1
    stored()
    assert config(Paging).default_page_size == 20


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (PAGING, {"max_page_size": "many"}, "whole number"),
        (PAGING, {"max_page_size": 0}, "from 1 to 10000"),
        (PAGING, {"max_page_sizes": 5}, "is not a setting"),
        (PAGING, {"default_page_size": 50, "max_page_size": 20}, "must not exceed"),
        (PAGING, 5, "must be an object"),
        (PAGING, {"default_page_size": "\0"}, "null characters"),
        ("LUNA_SERVICES", {"database_url": "postgresql://a:b@other/luna"}, "cannot be stored"),
        ("LUNA_DIRECTORIES", {"var": "elsewhere"}, "cannot be stored"),
        ("S3", {"aws_secret_access_key": "k"}, "is a secret"),
        ("LUNA_PYTHON_MATCHER_PROXY", {"search_timeout": -1}, "search_timeout"),
    ],
)
def test_invalid_values_change_nothing(name: str, value: Any, reason: str) -> None:
    setting = default(name)
    with pytest.raises(LunaError) as wrong:
        services.setting_replace(setting_id=setting.pk, draft=SettingDraft(name=name, value=value))
    assert code_of(wrong) == errors.INVALID_JSON
    assert reason in wrong.value.detail
    assert default(name).value == {}
    assert not Change.objects.exists()


def test_values_must_fit_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_PAGING_MAX_PAGE_SIZE", "50")
    with pytest.raises(LunaError, match="must not exceed"):
        services.setting_replace(setting_id=default(PAGING).pk, draft=paging(60))


def test_rules_of_default_and_tagged_settings() -> None:
    first = default(PAGING)
    refused: list[tuple[int, Callable[[], Any]]] = [
        (errors.DEFAULT_SETTING_TAGS_FIXED, lambda: replaced(first, paging(5, tags=("a",)))),
        (errors.DEFAULT_SETTING_NAME_FIXED, lambda: replaced(first, paging(5, name="S3"))),
        (errors.DEFAULT_SETTING_NOT_REMOVABLE, lambda: services.setting_delete(setting_id=first.pk)),
        (errors.SETTING_NOT_FOUND, lambda: services.setting_delete(setting_id=10**30)),
        (errors.LIMITATION_NOT_FOUND, lambda: services.setting_create(draft=paging(5, tags=("a",), name="NO"))),
        (errors.INVALID_JSON, lambda: services.setting_create(draft=paging(5))),
    ]
    for code, write in refused:
        with pytest.raises(LunaError) as wrong:
            write()
        assert code_of(wrong) == code
    tagged = services.setting_create(draft=paging(5, tags=("a", "b")))
    with pytest.raises(LunaError) as wrong:
        services.setting_create(draft=paging(6, tags=("b",)))
    assert code_of(wrong) == errors.SETTING_EXISTS
    services.setting_replace(setting_id=tagged.pk, draft=paging(7, tags=("b", "c")))
    services.setting_delete(setting_id=tagged.pk)


def test_tags_choose_values_of_an_instance() -> None:
    services.setting_replace(setting_id=default(PAGING).pk, draft=paging(20))
    services.setting_create(draft=paging(30, tags=("small", "tiny")))
    with connection.cursor() as cursor:
        assert values_read(cursor, {})(PAGING) == {"default_page_size": 20}
        assert values_read(cursor, {PAGING: "tiny"})(PAGING) == {"default_page_size": 30}
        with pytest.raises(SettingsError, match="tag 'large' of LUNA_PAGING, which does not exist"):
            values_read(cursor, {PAGING: "large"})


def test_the_puller_gives_tagged_values_first() -> None:
    services.setting_create(draft=paging(30, tags=("small",)))
    found = selectors.service_settings(service="luna", tags={PAGING: "small"})
    assert [each.tags for each in found if each.limitation.limitation_name == PAGING] == [["small"]]
    assert len(found) == len({each.limitation_id for each in found})
    for service, tags, code in (
        ("luna-nothing", {}, errors.SERVICE_NOT_FOUND),
        ("luna", {PAGING: "large"}, errors.SETTING_TAG_NOT_FOUND),
        ("luna", {"NO": "small"}, errors.LIMITATION_NOT_FOUND),
    ):
        with pytest.raises(LunaError) as wrong:
            selectors.service_settings(service=service, tags=tags)
        assert code_of(wrong) == code


def test_limitations_of_other_software() -> None:
    services.group_create(name="queues")
    services.limitation_create(draft=queue(), groups=["queues"])
    setting = default("DETECTOR_QUEUE")
    assert setting.value == {"key": "detector"}
    assert [each.pk for each in selectors.settings_find(SettingFilters(groups=["queues"]))] == [setting.pk]
    assert [each.pk for each in selectors.settings_find(SettingFilters(services=["queues"]))] == [setting.pk]
    named = {"type": "object", "required": ["name"]}
    bad: list[dict[str, Any]] = [
        {"default_value": {}},
        {"schema": {"type": "no"}},
        {"schema": {"$ref": "http://127.0.0.1:9/schema"}},
        {"schema": {}, "default_value": {"db_password": "luna"}},
        {"schema": {}, "default_value": ["redis://a:b@c"]},
    ]
    refused: list[tuple[int, Callable[[], Any]]] = [
        (errors.LIMITATION_EXISTS, lambda: services.limitation_create(draft=queue())),
        (errors.GROUPS_NOT_FOUND, lambda: services.limitation_create(draft=queue(name="B"), groups=["no"])),
        *((errors.INVALID_JSON, partial(services.limitation_create, draft=queue(name="B", **each))) for each in bad),
        (
            errors.INVALID_JSON,  # the default setting has no name
            partial(
                services.limitation_replace,
                name="DETECTOR_QUEUE",
                draft=queue(schema=named, default_value={"name": 1}),
            ),
        ),
        (errors.ACCESS_DENIED, lambda: services.limitation_delete(name=PAGING)),
        (errors.ACCESS_DENIED, lambda: services.limitation_replace(name=PAGING, draft=queue())),
    ]
    for code, write in refused:
        with pytest.raises(LunaError) as wrong:
            write()
        assert code_of(wrong) == code
    services.limitation_delete(name="DETECTOR_QUEUE")
    assert not Setting.objects.filter(pk=setting.pk).exists()
    for change in Change.objects.filter(kind="limitation")[:1]:
        change_undo(change=change)
    assert default("DETECTOR_QUEUE").pk == setting.pk
    assert selectors.group_get("queues").limitations.count() == 1


def test_undo_in_the_order_of_the_history() -> None:
    first = default(PAGING)
    for size in (20, 30):
        services.setting_replace(setting_id=first.pk, draft=paging(size))
    newest, oldest = Change.objects.filter(kind="setting")
    with pytest.raises(UndoError, match="later changes first"):
        change_undo(change=oldest)
    change_undo(change=newest)
    assert default(PAGING).value == {"default_page_size": 20}
    assert (newest.undone_by.get().after or {})["value"] == {"default_page_size": 20}
    tagged = services.setting_create(draft=paging(5, tags=("a",)))
    services.setting_delete(setting_id=tagged.pk)
    change_undo(change=Change.objects.all()[0])
    assert Setting.objects.get(pk=tagged.pk).tags == ["a"]


def test_a_change_without_a_difference_is_no_history() -> None:
    services.setting_replace(
        setting_id=default(PAGING).pk,
        draft=SettingDraft(name=PAGING, value={}, description=default(PAGING).description),
    )
    assert not Change.objects.exists()


def test_start_without_a_database_uses_the_kept_values(tmp_path: Any) -> None:
    kept = tmp_path / "run" / "settings.json"
    kept_write(kept, snapshot_of([(7, PAGING, True, [], '{"max_page_size": 30}')], {}))
    away = "postgresql://luna@127.0.0.1:1/luna"
    found = snapshot_at_start(database_url=away, tags={}, kept=kept)
    assert (found.version, found(PAGING)) == (7, {"max_page_size": 30})
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_text("{")
    assert kept_read(kept).values == {}


def test_invalid_stored_values_do_not_prevent_a_start() -> None:
    values = StartValues(snapshot_of([(7, PAGING, True, [], '{"max_page_size": -1}')], {}))
    assert values(PAGING) == {}
    assert "from 1 to 10000" in values.problems[PAGING]
