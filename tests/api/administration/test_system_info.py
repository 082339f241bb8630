"""The system information: what it has, and what it does not show."""

from collections.abc import Callable

import orjson
import pytest
from django.test import Client
from pydantic import SecretStr

from apps.accounts.models import Account
from apps.administration.masking import MASK, masked
from apps.common.config import GROUPS, Services, config
from tests.factories import basic_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(admin: Account) -> Client:
    return basic_client(admin)


def test_a_file_with_everything(client: Client) -> None:
    answer = client.get("/4/luna_sys_info")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="luna_sys_info.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.json()
    assert found["versions"]["LUNA PLATFORM"] == {"major": 5, "minor": 67, "patch": 0}
    assert set(found["settings"]) == {group.name for group in GROUPS.values()}
    assert found["stats"] == {"estimators_stats": [], "routes_stats": []}, "no statistics are made up"
    assert all(set(each) == {"descriptor_version", "faces", "events"} for each in found["descriptors"])


def test_no_secret_is_shown(client: Client, configure: Callable[..., None]) -> None:
    configure(Services, redis_url=SecretStr("redis://:kept-from-everybody@localhost/0"))
    text = orjson.dumps(client.get("/4/luna_sys_info").json()).decode()
    secrets = [
        found.get_secret_value()
        for model, group in GROUPS.items()
        for variable in group.variables
        if variable.secret
        for found in [getattr(config(model), variable.path[0])]
        if isinstance(found, SecretStr) and len(found.get_secret_value()) > 3
    ]
    assert len(secrets) >= 2
    assert [each for each in secrets if each in text] == []


def test_passwords_in_addresses_are_masked() -> None:
    shown = masked({"urls": ["http://ada:secret@host:80/a?b=c@d", "http://host/", 7, None], "plain": "a:b@c"})
    assert shown == {"urls": [f"http://ada:{MASK}@host:80/a?b=c@d", "http://host/", 7, None], "plain": "a:b@c"}
