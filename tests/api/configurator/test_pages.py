"""The Configurator's pages in the admin site."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Account, AuditRecord
from apps.accounts.roles import Role
from apps.accounts.services import account_update
from apps.common.redis_client import client as redis
from apps.configurator import services
from apps.configurator.followers import Arrival, followers
from apps.configurator.history import version
from apps.configurator.models import Change, Limitation, Setting, SettingGroup
from apps.configurator.services import SettingDraft
from apps.monitoring import processes
from tests.api.configurator.pages import HOSTILE, PAGING, QUEUE, SIZE, address, default_of, page
from tests.factories import basic_client, make_account

pytestmark = pytest.mark.django_db


def opened(site: Client, url: str) -> dict[str, Any]:
    """Return the form of a page: what a browser sends besides the value."""
    draft = site.get(url).context["draft"]
    return {"seen": draft.seen, "mode": "form", "do": "save"}


@pytest.fixture
def other(db: None) -> tuple[Account, Client]:
    """A second operator."""
    login = make_account()
    account_update(account=login, roles=[Role.ADMINISTRATOR])
    client = Client()
    client.force_login(login)
    return login, client


def names_in(site: Client, **query: str) -> set[str]:
    return {str(row) for row in site.get(page("setting", "changelist"), query).context["cl"].result_list}


def test_the_list_is_filtered(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    services.setting_create(draft=SettingDraft(name=PAGING, value={"max_page_size": 50}, tags=["desk"]))
    services.setting_replace(
        setting_id=default_of("LUNA_LOGINS").pk, draft=SettingDraft(name="LUNA_LOGINS", value={"failed_logins": 5})
    )
    services.limitation_create(draft=QUEUE)
    services.group_create(name="desk", limitations=[PAGING, "QUEUE"])
    monkeypatch.setenv("S3_BUCKET", "")
    monkeypatch.setenv("LUNA_S3_REGION", "eu")
    tagged = f"{PAGING} [desk]"
    assert names_in(site, state="changed") == {"LUNA_LOGINS", tagged}
    assert names_in(site, state="tagged") == names_in(site, tag="desk") == {tagged}
    unchanged = names_in(site, state="default")
    assert {PAGING, "QUEUE"} <= unchanged
    assert unchanged.isdisjoint({tagged, "LUNA_LOGINS"})
    assert names_in(site, group="desk") == {PAGING, tagged, "QUEUE"}
    assert names_in(site, service="queues") == names_in(site, effect="other") == {"QUEUE"}
    assert "S3" in names_in(site, state="environment")
    assert names_in(site, q="ueue", effect="other") == {"QUEUE"}
    assert "LUNA_SERVICES" in names_in(site, effect="environment")
    assert PAGING in names_in(site, effect="live") - names_in(site, effect="restart")
    assert names_in(site, tag="no\0") == set()
    assert {
        str(row) for row in site.get(page("limitation", "changelist"), {"service": "queues"}).context["cl"].result_list
    } == {"QUEUE"}
    groups = site.get(page("settinggroup", "changelist"), {"limitation": "paging"}).context["cl"].result_list
    assert [str(row) for row in groups] == ["desk"]
    answer = site.get(address("S3")).content.decode()
    assert "LUNA_S3_REGION overrides this: &quot;eu&quot;" in answer


def test_a_value_is_saved_by_form_and_as_json(site: Client, admin: Account) -> None:
    url = address(PAGING)
    form = opened(site, url)
    refused = site.post(url, form | {SIZE: "many", "value.max_page_size": "50", "description": "x" * 129})
    assert refused.context["draft"].problems.keys() == {SIZE, "description"}
    assert b'value="many"' in refused.content
    assert default_of(PAGING).value == {}
    assert site.post(url, form | {SIZE: "20", "description": HOSTILE}).status_code == 302
    assert (default_of(PAGING).value, default_of(PAGING).description) == ({"default_page_size": 20}, HOSTILE)
    change = Change.objects.latest("pk")
    assert (change.actor_id, change.after and change.after["value"]) == (admin.pk, {"default_page_size": 20})
    audited = AuditRecord.objects.filter(object_type="setting").latest("pk")
    assert (audited.action, audited.object_id) == ("update", str(default_of(PAGING).pk))

    as_json = site.post(url, form | {SIZE: "30", "do": "json"}).context
    assert json.loads(as_json["text"]) == {"default_page_size": 30, "max_page_size": 1000}
    form = opened(site, url) | {"mode": "json"}
    broken = site.post(url, form | {"json": '{"default_page_size": 1,\n}'})
    assert "Line 1, column 24" in broken.context["draft"].problems["value"]
    assert "&quot;default_page_size&quot;: 1,\n}" in broken.content.decode()
    wrong = site.post(url, form | {"json": '{"default_page_size": 0, "unknown": 1}'})
    assert wrong.context["draft"].problems.keys() == {SIZE, "value.unknown"}
    assert site.post(url, form | {"json": '{"max_page_size": 40}'}).status_code == 302
    assert default_of(PAGING).value == {"max_page_size": 40}
    assert HOSTILE not in site.get(url).content.decode()
    assert site.post(url, opened(site, url) | {"value.max_page_size": ""}).status_code == 302
    assert default_of(PAGING).value == {}


def test_copies_with_tags(site: Client) -> None:
    add = page("setting", "add")
    assert PAGING in site.get(add).context["names"]
    assert "LUNA_SERVICES" not in site.get(add).context["names"]
    services.setting_replace(
        setting_id=default_of(PAGING).pk, draft=SettingDraft(name=PAGING, value={"max_page_size": 40})
    )
    assert site.get(f"{add}?from={default_of(PAGING).pk}").context["draft"].value == {"max_page_size": 40}
    form = {"limitation": PAGING, "mode": "form", "do": "save", SIZE: "5"}
    for tags in ("a=b", "a, a"):
        assert site.post(add, form | {"tags": tags}).context["draft"].problems.keys() == {"tags"}
    assert "at least one tag" in site.post(add, form | {"tags": ""}).context["draft"].problems["tags"]
    assert site.post(add, form | {"tags": f"desk, {HOSTILE[:9]}"}).status_code == 302
    copy = Setting.objects.get(is_default=False)
    assert copy.tags == ["desk", HOSTILE[:9]]
    taken = site.post(add, form | {"tags": "desk"}).context["draft"].problems
    assert "error 27002" in taken[""]
    assert site.post(page("setting", "delete", default_of(PAGING).pk), {"post": "yes"}, follow=True).context["messages"]
    assert default_of(PAGING)
    url = page("setting", "change", copy.pk)
    seen = opened(site, url)
    assert site.post(page("setting", "delete", copy.pk), {"post": "yes"}).status_code == 302
    again = site.post(url, seen | {"limitation": PAGING, "tags": "desk", SIZE: "7"})
    assert "was deleted" in again.context["draft"].problems[""]
    assert (again.context["draft"].value, again.context["action"]) == ({"default_page_size": 7}, add)


def test_connections_are_checked(site: Client) -> None:
    url = address("S3")
    form = opened(site, url) | {"value.bucket": "b", "value.host": "http://127.0.0.1:1"}
    assert "error 27003" in site.post(url, form | {"check": "1"}).context["draft"].problems[""]
    assert default_of("S3").value == {}
    assert site.post(url, form).status_code == 302


def test_secrets_and_settings_of_the_environment(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_CALLBACK_SECRET", "hidden-secret")
    shown = site.get(address("LUNA_CALLBACKS"))
    assert "hidden-secret" not in shown.content.decode()
    assert shown.context["secrets"]
    url = address("LUNA_SERVICES")
    assert site.get(url).context["is_stored"] is False
    form = {"mode": "json", "do": "save", "json": '{"database_url": "postgresql://a:b@elsewhere/luna"}'}
    assert "the environment sets it" in str(site.post(url, form).context["draft"].problems)
    assert default_of("LUNA_SERVICES").value == {}
    add = {"limitation": "LUNA_SERVICES", "tags": "t", **form}
    assert "the environment sets it" in str(site.post(page("setting", "add"), add).context["draft"].problems)


def test_the_second_of_two_operators_is_told(site: Client, other: tuple[Account, Client]) -> None:
    login, second = other
    url = address(PAGING)
    first_form, second_form = opened(site, url), opened(second, url)
    assert second.post(url, second_form | {SIZE: "20"}).status_code == 302
    told = site.post(url, first_form | {"value.max_page_size": "50"})
    assert told.context["conflict"]["who"] == login.login
    assert re.search(r"at [-0-9]+ [:0-9]+ UTC\. Nothing was saved", told.content.decode())
    assert {row["path"] for row in told.context["conflict"]["rows"]} >= {SIZE, "value.max_page_size"}
    assert told.context["draft"].value == {"max_page_size": 50}
    assert default_of(PAGING).value == {"default_page_size": 20}
    again = first_form | {"seen": told.context["draft"].seen, "value.max_page_size": "50"}
    assert site.post(url, again).status_code == 302
    assert default_of(PAGING).value == {"max_page_size": 50}
    before = Change.objects.latest("pk").before
    assert before is not None
    assert before["value"] == {"default_page_size": 20}


@pytest.mark.django_db(transaction=True)
def test_of_operators_at_the_same_moment_one_saves(admin: Account) -> None:
    url, answers = address(PAGING), list[int]()
    clients = [Client() for _ in range(4)]
    for client in clients:
        client.force_login(admin)
    forms = [opened(client, url) for client in clients]
    barrier = threading.Barrier(len(clients))

    def save(client: Client, form: dict[str, Any], size: int) -> None:
        from django.db import connection

        barrier.wait(10)
        answers.append(client.post(url, form | {SIZE: str(size)}).status_code)
        connection.close()

    threads = [
        threading.Thread(target=save, args=(client, form, 20 + number))
        for number, (client, form) in enumerate(zip(clients, forms, strict=True))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 302]
    assert Change.objects.filter(name=PAGING).count() == 1


def test_limitations(site: Client, other: tuple[Account, Client]) -> None:
    services.group_create(name="desk")
    add = page("limitation", "add")
    form = {
        "do": "save", "name": "QUEUE", "description": HOSTILE, "services": "queues\nothers", "groups": ["desk"],
        "validation_schema": json.dumps(QUEUE.schema), "default_value": '{"key": "detector"}',
    }  # fmt: skip
    wrong = site.post(add, form | {"name": "a/b", "validation_schema": "{", "default_value": ""}).context["draft"]
    assert wrong.problems.keys() == {"name", "validation_schema", "default_value"}
    for change, path in (
        ({"validation_schema": '{"type": 5}'}, "validation_schema"),
        ({"default_value": '{"key": 5}'}, "default_value.key"),
        ({"name": PAGING}, ""),
    ):
        assert path in site.post(add, form | change).context["draft"].problems, change
    assert site.post(add, form).status_code == 302
    limitation = Limitation.objects.get(limitation_name="QUEUE")
    assert default_of("QUEUE").value == {"key": "detector"}
    assert list(limitation.setting_groups.values_list("group_name", flat=True)) == ["desk"]

    url = page("limitation", "change", limitation.pk)
    assert site.get(f"{add}?from={limitation.pk}").context["draft"].name == ""
    seen = opened(site, url)["seen"]
    services.setting_replace(setting_id=default_of("QUEUE").pk, draft=SettingDraft(name="QUEUE", value={"key": "x"}))
    assert site.post(url, form | {"seen": seen, "services": "queues"}).status_code == 302, "a value is another object"
    told = site.post(url, form | {"seen": seen, "services": "late"})
    assert told.context["conflict"]["rows"]
    assert told.context["draft"].services == "late"
    strict = json.dumps({"type": "object", "properties": {"key": {"enum": ["detector"]}}})
    kept = site.post(url, form | {"seen": told.context["draft"].seen, "validation_schema": strict})
    assert "settings." in next(iter(kept.context["draft"].problems))
    ours = page("limitation", "change", Limitation.objects.get(limitation_name=PAGING).pk)
    assert site.get(ours).context["is_edited"] is False
    refused = site.post(ours, form | {"name": PAGING})
    assert "error 12033" in refused.context["draft"].problems[""]
    assert site.post(page("limitation", "delete", limitation.pk), {"post": "yes"}).status_code == 302
    assert not Setting.objects.filter(limitation__limitation_name="QUEUE").exists()
    gone = site.post(url, form)
    assert "was deleted" in gone.context["draft"].problems[""]


def test_the_form_of_other_software(site: Client) -> None:
    services.limitation_create(draft=QUEUE)
    url = address("QUEUE")
    form = opened(site, url)
    rows = site.post(url, form | {"value.key": "a", "do": "add:value.rows"}).context["draft"]
    assert rows.value == {"key": "a", "rows": [{}]}
    posted = {"value.key": "a", "value.rows#count": "2", "value.rows.0.x": "1", "value.rows.1.x": "two"}
    assert site.post(url, form | posted).context["draft"].problems.keys() == {"value.rows.1.x"}
    removed = site.post(url, form | posted | {"do": "remove:value.rows.1"}).context["draft"]
    assert removed.value == {"key": "a", "rows": [{"x": 1}]}
    assert site.post(url, form | {"value.key": ""}).context["draft"].problems.keys() == {"value.key"}
    secret = site.post(url, form | {"value.key": "a", "value.*": '{"password": "p"}'}).context["draft"].problems
    assert "is a secret" in str(secret)
    assert site.post(url, form | posted | {"value.rows.1.x": "2"}).status_code == 302
    assert default_of("QUEUE").value == {"key": "a", "rows": [{"x": 1}, {"x": 2}]}


def test_groups(site: Client, other: tuple[Account, Client]) -> None:
    add = page("settinggroup", "add")
    form = {"do": "save", "name": "desk", "description": HOSTILE, "limitations": [PAGING, "S3"]}
    assert site.post(add, form | {"name": ""}).context["draft"].problems.keys() == {"name"}
    assert site.post(add, form).status_code == 302
    assert "error 27010" in site.post(add, form).context["draft"].problems[""]
    group = SettingGroup.objects.get()
    url = page("settinggroup", "change", group.pk)
    seen = opened(site, url)["seen"]
    unknown = site.post(url, form | {"seen": seen, "limitations": ["NO"]}).context["draft"].problems
    assert "error 27006" in unknown[""]
    assert other[1].post(url, form | {"seen": seen, "limitations": [PAGING]}).status_code == 302
    told = site.post(url, form | {"seen": seen, "limitations": ["S3"]})
    assert told.context["conflict"]["who"] == other[0].login
    assert told.context["draft"].limitations == ["S3"]
    assert site.post(page("settinggroup", "delete", group.pk), {"post": "yes"}).status_code == 302
    assert HOSTILE not in site.get(page("change", "changelist")).content.decode()


def test_history_and_undo(site: Client, other: tuple[Account, Client]) -> None:
    url = address(PAGING)
    for size in ("20", "30"):
        site.post(url, opened(site, url) | {SIZE: size})
    first, second = Change.objects.order_by("pk")
    shown = site.get(page("change", "change", second.pk))
    assert [(row["before"], row["after"]) for row in shown.context["rows"]] == [("20", "30")]
    assert site.get(page("change", "change", first.pk)).context["later"] == second
    history = site.get(page("setting", "history", default_of(PAGING).pk), follow=True)
    assert [row.pk for row in history.context["cl"].result_list] == [second.pk, first.pk]
    undo = reverse("admin:configurator_undo", args=(second.pk,))
    assert site.get(undo).context["confirm"] is True
    assert default_of(PAGING).value == {"default_page_size": 30}, "asking changes nothing"
    late = site.post(reverse("admin:configurator_undo", args=(first.pk,)), follow=True)
    assert "changed since" in str(next(iter(late.context["messages"])))
    assert site.post(undo).status_code == 302
    assert default_of(PAGING).value == {"default_page_size": 20}
    assert Change.objects.latest("pk").undoes == second
    guard = make_account()
    account_update(account=guard, roles=[Role.OPERATOR])
    site.force_login(guard)
    assert site.post(undo).status_code == site.get(page("change", "change", first.pk)).status_code == 403


@pytest.fixture
def published(redis_client: Any) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Publish the status of another process."""
    name = "web elsewhere:1"

    def publish(settings: dict[str, Any]) -> None:
        text = orjson.dumps({"time": 0, "objects": {"settings": settings}})
        redis().set(processes.KEY.format(name), text, ex=20)
        redis().sadd(processes.NAMES, name)

    yield publish
    redis().delete(processes.KEY.format(name))


def test_the_processes_in_which_a_change_has_arrived(site: Client, published: Callable[[dict[str, Any]], None]) -> None:
    services.setting_replace(
        setting_id=default_of(PAGING).pk, draft=SettingDraft(name=PAGING, value={"max_page_size": 40})
    )
    for found, arrival in (
        ({"version": version() - 1, "error": "", "restart": ""}, Arrival.WAITING),
        ({"version": version() - 1, "error": HOSTILE, "restart": ""}, Arrival.FAILED),
        ({"version": version(), "error": "", "restart": "LUNA_WEB"}, Arrival.APPLIED),
        ({"version": version(), "error": "", "restart": PAGING}, Arrival.RESTART),
    ):
        published(found)
        [process] = [each for each in followers(PAGING) if each.name == "web elsewhere:1"]
        assert process.arrival == arrival
        part = site.get(reverse("admin:configurator_arrivals"), {"group": PAGING}).content.decode()
        assert str(arrival.label) in part
        assert HOSTILE not in part
    assert site.get(page("setting", "processes")).status_code == 200


def test_what_the_api_has_changed_is_seen_on_the_page(site: Client, admin: Account) -> None:
    url, setting = address(PAGING), default_of(PAGING)
    form = opened(site, url)
    body = {"name": PAGING, "value": {"default_page_size": 20}}
    assert basic_client(admin).put(f"/1/settings/{setting.pk}", body, "application/json").status_code == 204
    assert site.post(url, form | {SIZE: "30"}).context["conflict"]["who"] == admin.login
