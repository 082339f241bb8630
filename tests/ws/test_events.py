"""Events that `/6/ws` delivers, and events that it does not."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import redis
from channels.layers import get_channel_layer
from django.conf import settings as django_settings
from django.db import transaction
from websockets.exceptions import ConnectionClosed

from apps.common.redis_client import Client
from apps.common.request_id import PATTERN, current_request_id
from apps.sender import hub, sent
from apps.sender.publisher import publisher
from apps.sender.services import event_publish
from tests.ws.helpers import Listen, User, received_id

LABEL_MATCH = {"top_matching_candidates_label": "vip", "top_similar_object_similarity": 0.91}
ID = str(uuid4())

# query, facts that pass, facts that do not
FILTERS = [
    ("sources=gate,door", {"source": "door"}, {"source": "yard"}),
    ("sources=null", {"source": None}, {"source": "yard"}),
    (f"stream_ids={ID}", {"stream_id": ID}, {"stream_id": str(uuid4())}),
    (f"handler_ids={ID}", {"handler_id": ID}, {"handler_id": str(uuid4())}),
    (f"face_ids={ID}", {"face_id": ID}, {"face_id": None}),
    ("external_ids=7,8", {"external_id": "8"}, {"external_id": "9"}),
    ("user_data=Ada", {"user_data": "Ada"}, {"user_data": "Bob"}),
    ("tags=known", {"tags": ["new", "known"]}, {"tags": ["new"]}),
    ("matching_candidates_labels=vip", LABEL_MATCH, {"top_matching_candidates_label": "staff"}),
    ("object_similarity__gte=0.9", LABEL_MATCH, {"top_similar_object_similarity": 0.89}),
    ("object_similarity__lt=0.9", {"top_similar_object_similarity": 0.89}, LABEL_MATCH),
    ("age__gte=18&age__lt=30", {"age": 18}, {"age": 30}),
    ("gender=1", {"gender": 1}, {"gender": 0}),
    ("ethnic_groups=3,4", {"ethnic_group": 4}, {"ethnic_group": 1}),
    ("emotions=4", {"emotion": 4}, {"emotion": 5}),
    ("masks=2", {"mask": 2}, {"mask": 1}),
    ("liveness=1", {"liveness": 1}, {"liveness": 0}),
    ("deepfake=1", {"deepfake": 1}, {"deepfake": 0}),
    ("apparent_gender=0", {"apparent_gender": 0}, {"apparent_gender": 1}),
    ("lower_garment_types=2", {"lower_garment_type": 2}, {"lower_garment_type": 1}),
    ("upper_clothing_colors=1,7", {"upper_clothing_colors": [7, 3]}, {"upper_clothing_colors": [3]}),
    ("shoes_apparent_colors=1", {"shoes_apparent_color": 1}, {"shoes_apparent_color": 2}),
    ("cities=Oslo", {"city": "Oslo"}, {"city": "Rome"}),
    (
        "origin_longitude=10&origin_latitude=60&longitude_delta=1&latitude_delta=1",
        {"longitude": 10.5, "latitude": 59.5},
        {"longitude": 12.0, "latitude": 59.5},
    ),
]


def test_a_message_has_the_documented_shape(listen: Listen, user: User) -> None:
    client = listen(user.basic)
    handler_id, event = uuid4(), {"event_id": str(uuid4()), "tags": ["known"], "face": None}
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    token = current_request_id.set("1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a")
    message = {"event": event, "handler_id": handler_id, "event_create_time": now, "event_end_time": now}
    event_publish(account_id=user.account_id, facts={}, message=message)
    current_request_id.reset(token)

    text = client.recv(timeout=10)

    assert isinstance(text, str)
    assert json.loads(text) == {
        "event": event,
        "handler_id": str(handler_id),
        "event_create_time": "2026-01-02T03:04:05+00:00",
        "event_end_time": "2026-01-02T03:04:05+00:00",
        "Luna-Request-id": "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a",
        "Luna-Request-Id": "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a",
    }
    assert client.response is not None
    assert PATTERN.fullmatch(client.response.headers["Luna-Request-Id"])


@pytest.mark.parametrize(
    ("query", "wanted", "unwanted"), FILTERS, ids=[query.replace(ID, "uuid") for query, _, _ in FILTERS]
)
def test_a_filter_lets_only_its_events_through(
    listen: Listen, user: User, query: str, wanted: dict[str, Any], unwanted: dict[str, Any]
) -> None:
    client = listen(user.basic, query)
    user.publish(**unwanted)
    expected = user.publish(**wanted)

    assert received_id(client) == expected


def test_filters_hold_together(listen: Listen, user: User) -> None:
    client = listen(user.basic, "sources=gate&gender=1")
    user.publish(source="gate", gender=0)
    user.publish(source="yard", gender=1)
    expected = user.publish(source="gate", gender=1)

    assert received_id(client) == expected


def test_accounts_do_not_hear_each_other(listen: Listen, user: User, stranger: User) -> None:
    mine, theirs = listen(user.basic), listen(stranger.basic)
    my_event, their_event = user.publish(), stranger.publish()

    assert received_id(mine) == my_event
    assert received_id(theirs) == their_event
    for client in (mine, theirs):
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.3)


def test_a_burst_arrives_complete_and_in_order_at_every_socket(listen: Listen, user: User) -> None:
    clients = [listen(user.basic) for _ in range(3)]
    sent = [user.publish("x" * 2000) for _ in range(1000)]

    for client in clients:
        assert [received_id(client) for _ in sent] == sent


def test_an_event_of_a_rolled_back_transaction_is_not_announced(listen: Listen, user: User) -> None:
    client = listen(user.basic)
    with transaction.atomic():
        transaction.on_commit(user.publish)
        transaction.set_rollback(True)
    with transaction.atomic():
        transaction.on_commit(lambda: user.publish("committed"))

    assert json.loads(client.recv(timeout=10))["event"]["user_data"] == "committed"


def test_events_of_other_processes_arrive(listen: Listen, user: User) -> None:
    client = listen(user.basic)
    code = (
        "import django, uuid; django.setup();"
        "from apps.sender.services import event_publish;"
        "message = {'event': {'event_id': 'e'}};"
        f"event_publish(account_id=uuid.UUID('{user.account_id}'), facts={{}}, message=message)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    root = Path(django_settings.BASE_DIR)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, env=environment, timeout=60)

    assert received_id(client) == "e"


def test_the_server_subscribes_once_for_an_account(listen: Listen, user: User, redis_client: redis.Redis) -> None:
    for _ in range(5):
        listen(user.basic)
    channels = redis_client.pubsub_channels(f"*{user.account_id}*")

    assert len(channels) == 1
    assert redis_client.pubsub_numsub(channels[0])[0][1] == 1


def test_notifications_wait_for_a_dead_redis_and_requests_do_not(
    listen: Listen, user: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, present = listen(user.basic), sent.client  # type: ignore[attr-defined]
    away = Client.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(hub, "PROBE_S", 60)  # the connection of the subscription is not interrupted
    callers: list[str] = []
    monkeypatch.setattr(sent, "client", lambda: (callers.append(threading.current_thread().name), away)[1])
    expected = [user.publish(), user.publish()]
    publisher().drain(0.5)
    monkeypatch.setattr(sent, "client", present)

    assert set(callers) == {"sender-publisher"}
    assert [received_id(client), received_id(client)] == expected
    assert "29005" in caplog.text


def test_a_full_redis_passes_notifications_on(
    listen: Listen, user: User, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client, limit = listen(user.basic), str(redis_client.config_get("maxmemory")["maxmemory"])
    redis_client.config_set("maxmemory", 1)
    try:
        expected = user.publish()
        assert received_id(client) == expected
    finally:
        redis_client.config_set("maxmemory", limit)
    assert "Lost a notification" not in caplog.text


def test_a_notification_that_cannot_be_sent_is_named_in_the_log(
    user: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise redis.ResponseError("NOPERM this user has no permissions")

    monkeypatch.setattr(sent, "client", lambda: SimpleNamespace(eval=fail))
    user.publish()
    publisher().drain(10)
    assert "29004" in caplog.text


def test_a_notification_that_cannot_be_read_closes_the_websockets(
    listen: Listen, user: User, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = listen(user.basic), listen(user.basic)
    body = get_channel_layer().serialize({"type": "event", "facts": b"{", "text": "", "previous": sent.UNORDERED})
    redis_client.publish(sent.CHANNEL.format(user.account_id), body)
    for client in (first, second):
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason[:5]) == (4000, "29003")
    assert "29003" in caplog.text


def test_a_message_that_cannot_be_written_is_logged(user: User, caplog: pytest.LogCaptureFixture) -> None:
    event_publish(account_id=user.account_id, facts={}, message={"event": object()})

    assert "Cannot publish an event" in caplog.text
