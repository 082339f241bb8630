"""Settings of events, temporary attributes and the map."""

from datetime import timedelta
from uuid import uuid4

import pytest
import redis
from django.db import connection
from django.test import Client

from apps.accounts.choices import AccountType
from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.times import utc_now
from apps.events.partitions import partitions_expire, partitions_make
from apps.events.saving import Saver
from apps.faces.attributes import KEY, attribute_create
from apps.faces.types import AttributeData, BasicData
from tests.factories import client_of, make_account, make_event
from tests.unit.live.conftest import Store
from tests.unit.live.table import live


@live("LUNA_EVENTS_SEARCH.default_window_days")
def test_window_of_searches(store: Store, account: Account) -> None:
    make_event(account, create_time=utc_now() - timedelta(days=10))
    client = client_of(account)
    assert len(client.get("/6/events").json()["events"]) == 1
    store("LUNA_EVENTS_SEARCH", default_window_days=5)
    assert client.get("/6/events").json()["events"] == []


@live("LUNA_EVENTS_STORAGE.partition_period", "LUNA_EVENTS_STORAGE.partitions_ahead")
def test_partitions(store: Store, db: None) -> None:
    partitions_make()
    store("LUNA_EVENTS_STORAGE", partition_period="year", partitions_ahead=2)
    _, *years = [name for name in partitions_make() if name.startswith("events_event_p")]
    assert years
    assert all(name.endswith("0101") for name in years)
    store("LUNA_EVENTS_STORAGE", partition_period="year", partitions_ahead=5)
    assert len(partitions_make()) == 3 * 2  # of events and of their descriptors


@live("LUNA_EVENTS_STORAGE.retention_days")
def test_retention(store: Store, account: Account) -> None:
    make_event(account)
    later = utc_now() + timedelta(days=100)
    assert partitions_expire(now=later) == []
    store("LUNA_EVENTS_STORAGE", retention_days=30)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the test is one transaction
    assert partitions_expire(now=later)


@live("LUNA_EVENTS_STORAGE.save_events_timeout")
def test_limit_of_saves(store: Store, account: Account) -> None:
    def limit() -> str:
        make_event(account)
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])

    assert limit() == "2s"
    store("LUNA_EVENTS_STORAGE", save_events_timeout=7.0)
    assert limit() == "7s"


@live("LUNA_EVENTS_STORAGE.save_queue_length")
def test_queue_of_saves(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Saver, "_run", lambda self: None)
    saver = Saver()
    saver.check(3)
    store("LUNA_EVENTS_STORAGE", save_queue_length=2)
    with pytest.raises(LunaError) as wrong:
        saver.check(3)
    assert wrong.value.code == 23008


@live("ATTRIBUTES_STORAGE_POLICY.default_ttl", "ATTRIBUTES_STORAGE_POLICY.max_ttl")
def test_lifetimes_of_attributes(store: Store, redis_client: redis.Redis) -> None:
    data, account_id = AttributeData(basic=BasicData(age=30)), uuid4()

    def lifetime_s(ttl_s: int | None) -> int:
        made = attribute_create(account_id=account_id, data=data, ttl_s=ttl_s)
        left: int = redis_client.ttl(KEY.format(made.attribute_id))
        return left

    assert (lifetime_s(None), lifetime_s(100)) == (300, 100)
    store("ATTRIBUTES_STORAGE_POLICY", default_ttl=40, max_ttl=50)
    assert lifetime_s(None) == 40
    with pytest.raises(LunaError, match="50 seconds"):
        lifetime_s(100)


@live("LUNA_MAP.tiles_url", "LUNA_MAP.attribution")
def test_the_map(store: Store, db: None) -> None:
    operator = Client()
    operator.force_login(make_account(AccountType.ADMIN))
    store("LUNA_MAP", tiles_url="https://tiles.example/{z}/{x}/{y}.png", attribution="by the office of maps")
    answer = operator.get("/admin/workbench/trace/")
    assert "https://tiles.example" in answer["Content-Security-Policy"]
    shown = answer.context["map"]
    assert (shown.tiles_url, shown.attribution) == ("https://tiles.example/{z}/{x}/{y}.png", "by the office of maps")
