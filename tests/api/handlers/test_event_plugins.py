"""Event plugins on the way of an event, and routes of background plugins."""

import importlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import clear_url_caches

import luna.urls.all
import luna.urls.api
from apps.accounts.models import Account
from apps.common.config import Directories, ServicePlugins
from apps.common.plugins.contract import EventPlugin, SentEvent
from apps.common.plugins.services import Plugins, Runner, plugins
from apps.events.models import Event
from luna.embedded.addresses import CHECKOUT
from tests.api.handlers.helpers import JPEG, astronaut, make_handler
from tests.factories import token_client

pytestmark = pytest.mark.django_db


class Doors(EventPlugin):
    def __init__(self) -> None:
        self.events: list[SentEvent] = []

    def fill_meta(self, account_id: UUID, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"door": facts["source"], "age": facts["age"]}

    def on_event(self, event: SentEvent) -> None:
        self.events.append(event)


class Broken(EventPlugin):
    def fill_meta(self, account_id: UUID, facts: Mapping[str, Any]) -> Mapping[str, Any]:
        raise ZeroDivisionError

    def on_event(self, event: SentEvent) -> None:
        raise ZeroDivisionError


def test_meta_is_filled_before_policies_and_storage(
    client: Client, account: Account, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    doors, broken = Doors(), Broken()
    active = Plugins([Runner("handlers", "broken", broken), Runner("handlers", "doors", doors)])
    monkeypatch.setattr(plugins, "value", active)
    policies = {
        "detect_policy": {"detect_face": 1},
        "extract_policy": {"extract_basic_attributes": 1},
        "storage_policy": {"notification_policy": {"send_notification": 0}},
    }
    path = make_handler(client, policies)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"{path}/events?source=gate", astronaut(), JPEG)
    assert answer.status_code == 201
    (event,) = answer.json()["events"]
    active.close()
    assert event["meta"]["door"] == "gate"
    assert event["meta"]["age"] > 0
    assert Event.objects.unscoped().get().meta == event["meta"]
    (sent,) = doors.events
    assert (sent.account_id, sent.message["event"]) == (account.account_id, event)
    assert active.status()["broken_failed"] == 2


@pytest.fixture
def load(tmp_path: Path, configure: Callable[..., None]) -> Iterator[None]:
    """The background plugin of the documentation is active from the start."""
    configure(Directories, var=tmp_path)
    folder = tmp_path / "plugins" / "handlers"
    folder.mkdir(parents=True)
    shutil.copy(CHECKOUT / "docs" / "background_plugin_template.py", folder / "load.py")
    configure(ServicePlugins, handlers=("load",))

    def reload() -> None:
        plugins.close()
        for module in (luna.urls.api, luna.urls.all):
            importlib.reload(module)
        clear_url_caches()

    reload()
    yield
    configure(ServicePlugins, handlers=())
    reload()


def test_a_route_of_a_plugin_has_accounts_and_permissions(load: None, client: Client, account: Account) -> None:
    route = "/6/plugins/load/routes"
    plugin: Any = plugins().runners[0].plugin
    plugin.last["/6/handlers"] = 7
    assert client.get(route).json() == {"/6/handlers": 7}
    assert Client().get(route).status_code == 403
    assert token_client(account, face=["view"]).get(route).status_code == 403
    assert client.get("/6/plugins/load/other").status_code == 404
    assert client.get("/6/plugins/none/routes").status_code == 404
