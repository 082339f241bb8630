"""Who is let in at `/6/ws`, and until when."""

import base64
import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import redis
from pytest_django import Settings
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.accounts.config import Logins
from apps.accounts.models import Account, Token
from apps.accounts.services import account_delete, account_update, token_delete
from apps.common.config import AdditionalServices, Web
from apps.common.logs import RequestIdFilter
from apps.common.times import utc_now
from apps.sender import consumers
from apps.sender.config import Sender
from apps.sender.hub import Hub
from tests.ws.helpers import Listen, User, received_id, small_socket

VIEW = {"event": ["view"]}


def refusal(
    listen: Listen, headers: dict[str, str] | None, query: str = "", **options: object
) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught:
        listen(headers, query, **options)
    response = caught.value.response
    assert response.headers["Luna-Request-Id"]
    return response.status_code, json.loads(response.body)


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.usefixtures("account_header")
def test_basic_bearer_and_account_header_open(listen: Listen, user: User) -> None:
    _, bearer = user.bearer(VIEW)
    clients = [listen(headers) for headers in (user.basic, bearer, {"Luna-Account-Id": str(user.account_id)})]
    sent = user.publish()

    assert [received_id(client) for client in clients] == [sent] * 3


def test_a_disabled_sender_lets_nobody_in(listen: Listen, user: User, configure: Callable[..., None]) -> None:
    configure(AdditionalServices, luna_sender=False)
    status, body = refusal(listen, user.basic)
    assert (status, body["error_code"]) == (403, 35001)


def test_who_listens_stands_in_the_log(listen: Listen, user: User, caplog: pytest.LogCaptureFixture) -> None:
    token_id, bearer = user.bearer(VIEW)
    request_id = "1536751345,8b8b5937-2e9c-4e8b-a7a7-5caf86621b5a"
    caplog.handler.addFilter(RequestIdFilter())
    with caplog.at_level(logging.INFO, "apps.accounts.auth.authentication"):
        listen({**bearer, "Luna-Request-Id": request_id})
    (line,) = (record for record in caplog.records if record.name == "apps.accounts.auth.authentication")
    assert line.getMessage() == f"Request invoked by user (account_id: '{user.account_id}' token_id: '{token_id}')"
    assert vars(line)["request_id"] == request_id


@pytest.mark.parametrize("query", ["sources=private-7", "access_token=private-7", "age__gte=private-7"])
def test_queries_do_not_stand_in_the_log(
    listen: Listen, user: User, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of accepted and rejected handshakes, whatever the level: they may name people, or hold credentials by mistake."""
    with caplog.at_level(logging.DEBUG):
        for headers in (user.basic, None, basic("nobody@example.com:private-7")):
            with suppress(InvalidStatus):
                listen(headers, query).close()
    from_server = [record for record in caplog.records if not record.name.startswith("websockets.client")]
    assert from_server
    for record in from_server:
        assert "private-7" not in record.getMessage(), record.name
        assert user.basic["Authorization"] not in record.getMessage(), record.name


@pytest.mark.usefixtures("account_header")
@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (None, 403, 29001),
        (basic("nobody@example.com:wrong"), 401, 41006),
        ({"Authorization": "Basic ???"}, 401, 11065),
        ({"Authorization": "Bearer forged.token.here"}, 401, 11062),
        ({"Luna-Account-Id": "not-a-uuid"}, 400, 11037),
        ({"Luna-Account-Id": "00000000-0000-4000-8000-000000000000"}, 401, 11065),
    ],
)
def test_wrong_credentials_are_refused(listen: Listen, headers: dict[str, str] | None, status: int, code: int) -> None:
    answered, body = refusal(listen, headers)

    assert (answered, body["error_code"]) == (status, code)
    assert set(body) == {"error_code", "desc", "detail", "link"}


def test_a_wrong_password_is_refused(listen: Listen, user: User) -> None:
    assert refusal(listen, basic(f"{user.login}:wrong"))[1]["error_code"] == 41006


def test_the_account_header_is_off(listen: Listen, user: User) -> None:
    assert refusal(listen, {"Luna-Account-Id": str(user.account_id)})[1]["error_code"] == 11061


@pytest.mark.usefixtures("account_header")
def test_the_account_header_is_for_listed_hosts(listen: Listen, user: User, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    headers = {"Luna-Account-Id": str(user.account_id)}

    assert refusal(listen, headers, host="evil.example")[1]["error_code"] == 11061


@pytest.mark.usefixtures("account_header")
def test_a_websocket_ends_when_the_account_header_is_switched_off(
    listen: Listen, user: User, configure: Callable[..., None]
) -> None:
    configure(Sender, recheck_s=0.1)
    by_password, by_name = listen(user.basic), listen({"Luna-Account-Id": str(user.account_id)})
    configure(Logins, allow_luna_account_auth_header=False)

    assert close_of(by_name)[0] == 4001
    sent = user.publish()
    assert received_id(by_password) == sent


@pytest.mark.parametrize("host", ["evil.example", "evil.example:5000", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused(listen: Listen, user: User, host: str) -> None:
    """A page whose own name leads to the platform: its `Origin` and `Host` agree."""
    status, body = refusal(listen, user.basic, host=host, origin=f"http://{host}")

    assert (status, body["error_code"]) == (400, 12046)
    assert "LUNA_ALLOWED_HOSTS" in body["detail"]


def test_a_token_needs_the_right_to_view_events(listen: Listen, user: User) -> None:
    _, bearer = user.bearer({"face": ["view"]})

    assert refusal(listen, bearer)[1]["error_code"] == 11059


def test_an_expired_token_is_refused(listen: Listen, user: User) -> None:
    token_id, bearer = user.bearer(VIEW)
    Token.everything.filter(token_id=token_id).update(expiration_time=utc_now() - timedelta(seconds=1))

    assert refusal(listen, bearer)[1]["error_code"] == 41007


@pytest.mark.parametrize(
    "query",
    [
        "age__gte=old",
        "gender=2",
        "emotions=8",
        "emotions=",
        "handler_ids=1",
        "object_similarity__gte=1.5",
        "object_similarity__gte=nan",
        "origin_longitude=10",
        "sources=" + "x" * 129,
    ],
)
def test_a_bad_filter_is_refused_with_its_name(listen: Listen, user: User, query: str) -> None:
    status, body = refusal(listen, user.basic, query)

    assert (status, body["error_code"]) == (400, 12012)
    assert query.split("=")[0] in body["detail"]


def test_another_account_cannot_be_asked_for(listen: Listen, user: User, stranger: User) -> None:
    assert refusal(listen, user.basic, f"account_id={stranger.account_id}")[1]["error_code"] == 11063
    client = listen(user.basic, f"account_id={user.account_id}")
    sent = user.publish()
    assert received_id(client) == sent


def test_a_page_of_a_foreign_site_is_refused(
    listen: Listen, user: User, port: int, configure: Callable[..., None]
) -> None:
    assert refusal(listen, user.basic, origin="http://evil.example")[1]["error_code"] == 12033

    configure(Web, csrf_trusted_origins=["https://desk.example"])
    for origin in ("https://desk.example", f"http://127.0.0.1:{port}"):
        listen(user.basic, origin=origin)


def test_redis_away_is_said(listen: Listen, user: User, settings: Settings) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        }
    }

    status, body = refusal(listen, user.basic)

    assert (status, body["error_code"]) == (503, 29005)


def test_a_refused_subscription_names_its_channel(
    listen: Listen, user: User, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    async def refuse(self: Hub, subscription: object) -> None:
        raise redis.ResponseError("NOPERM this user has no permissions to access a channel")

    monkeypatch.setattr(Hub, "join", refuse)
    status, body = refusal(listen, user.basic)
    assert (status, body["error_code"]) == (500, 29002)
    assert f"events.{user.account_id}" in body["detail"]


def test_an_unknown_path_is_refused(port: int) -> None:
    with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{port}/7/ws", proxy=None):
        pass


def close_of(client: ClientConnection, timeout: float = 10) -> tuple[int, str]:
    """Reads to the end; the close code and reason of the server."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(timeout=timeout)
    frame = client.protocol.close_rcvd
    assert frame is not None
    return frame.code, frame.reason


def revoke_token(user: User) -> None:
    token = Token.everything.get(account_id=user.account_id)
    token_delete(account_id=user.account_id, token_id=token.token_id)


def delete_account(user: User) -> None:
    account_delete(account=Account.objects.get(account_id=user.account_id))


def change_password(user: User) -> None:
    account_update(account=Account.objects.get(account_id=user.account_id), password="another one")


@pytest.mark.parametrize(
    ("with_token", "change"), [(True, revoke_token), (False, delete_account), (False, change_password)]
)
def test_lost_credentials_end_the_connection(
    listen: Listen,
    user: User,
    stranger: User,
    configure: Callable[..., None],
    with_token: bool,
    change: Callable[[User], None],
) -> None:
    configure(Sender, recheck_s=0.1)
    other = listen(stranger.basic)
    client = listen(user.bearer(VIEW)[1] if with_token else user.basic)
    change(user)

    assert close_of(client)[0] == 4001
    expected = stranger.publish()
    assert received_id(other) == expected


def test_a_slow_reader_is_told_and_the_others_hear_everything(
    listen: Listen, user: User, port: int, configure: Callable[..., None]
) -> None:
    configure(Sender, queue_bytes=1_000_000)
    quick = listen(user.basic, compression=None)
    slow = listen(user.basic, compression=None, sock=small_socket(port), max_queue=1)
    for _ in range(100):  # 10 MB: more than the queue, the server's and the kernel's buffers hold
        sent = user.publish("x" * 100_000)
        assert received_id(quick) == sent

    code, reason = close_of(slow)

    assert code == 4008
    assert "slow reader" in reason
    sent = user.publish("still here")
    assert received_id(quick) == sent


def test_a_reader_that_stands_still_is_dropped(
    listen: Listen,
    user: User,
    port: int,
    configure: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    redis_client: redis.Redis,
) -> None:
    configure(Sender, queue_bytes=1_000_000)
    monkeypatch.setattr(consumers, "CLOSE_GRACE_S", 0.2)
    listen(user.basic, compression=None, sock=small_socket(port), max_queue=1)
    for _ in range(100):
        user.publish("x" * 100_000)

    deadline = time.monotonic() + 10
    while redis_client.pubsub_channels(f"*{user.account_id}*") and time.monotonic() < deadline:
        time.sleep(0.05)

    assert redis_client.pubsub_channels(f"*{user.account_id}*") == []
