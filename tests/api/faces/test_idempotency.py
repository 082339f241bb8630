"""`Idempotency-Key`: a retried POST is safe."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis
from django.db import connection
from django.test import Client

from apps.accounts import idempotency, kept_answers
from apps.accounts.config import KeptAnswers, Logins
from apps.accounts.kept_answers import Claim, late
from apps.accounts.models import Account, Token
from apps.common import errors
from apps.common.config import override_config
from apps.common.errors import LunaError
from apps.common.redis_client import breaker
from apps.faces import services
from apps.faces.models import Face
from apps.imagestore.models import StoredObject
from tests.api.accounts.helpers import issue
from tests.api.helpers import refused
from tests.factories import basic_client, client_of, header_client, make_account
from tests.platform import Caller, platform


def create(client: Client, key: str, body: Any = None, path: str = "/6/faces") -> Any:
    return client.post(
        path, orjson.dumps(body or {}), content_type="application/json", headers={"Idempotency-Key": key}
    )  # fmt: skip


def faces() -> int:
    return Face.objects.unscoped().count()


def test_a_retry_gets_the_same_answer(client: Client, redis_client: redis.Redis) -> None:
    first, again = create(client, "k", {"user_data": "u"}), create(client, "k", {"user_data": "u"})
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == "application/json"
    assert again.headers["Luna-Request-Id"] != first.headers["Luna-Request-Id"]
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    assert faces() == 1
    (name,) = redis_client.keys("luna:idempotency:*")
    assert 86_390 < redis_client.ttl(name) <= 86_400
    assert create(client, "k2", {"user_data": "u"}).content != first.content
    assert faces() == 2


def test_a_key_is_for_one_request(client: Client) -> None:
    create(client, "k", {"user_data": "u"})
    for body, path in (({"user_data": "v"}, "/6/faces"), ({"user_data": "u"}, "/6/lists"), ({}, "/6/faces?x=1")):
        assert "a different request" in refused(create(client, "k", body, path), 400, 12046)
    assert faces() == 1


def test_a_key_is_for_one_account(client: Client, stranger: Client) -> None:
    assert create(client, "k").content != create(stranger, "k").content
    assert faces() == 2


def test_what_failed_can_be_tried_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    list_id = str(uuid4())
    refused(create(client, "k", {"lists": [list_id]}), 400, 22005)
    with monkeypatch.context() as patch:
        patch.setattr(services, "face_create", lambda **_: 1 / 0)
        refused(create(client, "k"), 500, 1)
    assert create(client, "k").status_code == 201
    assert faces() == 1


def test_a_key_at_work(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second request in the middle of the first is told to wait; so is every one when the first never ended."""
    make, inner = services.face_create, []

    def slow(**fields: Any) -> Any:
        inner.append(create(client, "k"))
        return make(**fields)

    monkeypatch.setattr(services, "face_create", slow)
    assert create(client, "k").status_code == 201
    assert "is running" in refused(inner[0], 409, 12046)
    assert inner[0].headers["Retry-After"] == "1"
    assert faces() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "\u00e9", "a\x00"])
def test_odd_keys(client: Client, key: str) -> None:
    refused(create(client, key), 400, 12046)
    assert faces() == 0


def test_bytes_are_compared_too(client: Client) -> None:
    def put(data: bytes) -> Any:
        return client.post("/6/objects", data, content_type="a/b", headers={"Idempotency-Key": "k"})

    first = put(b"one")
    assert put(b"one").content == first.content
    refused(put(b"two"), 400, 12046)
    big: dict[str, Any] = {"content_type": "a/b", "headers": {"Idempotency-Key": "big"}}
    assert client.post("/6/objects", bytes(2 * 1024**2), **big).status_code == 201
    assert client.post("/6/objects", bytes(2 * 1024**2), **big).headers["Idempotency-Replayed"] == "true"
    refused(client.post("/6/objects", bytes(2 * 1024**2 - 1) + b"x", **big), 400, 12046)
    assert StoredObject.objects.unscoped().count() == 2


def test_secrets_are_not_kept(redis_client: redis.Redis, db: None) -> None:
    account = make_account()
    for _ in range(2):
        answer = create(basic_client(account), "k", {"permissions": {}}, "/6/tokens")
        assert answer.status_code == 201, answer.content
    assert Token.objects.unscoped().count() == 2
    assert not redis_client.keys("luna:idempotency:*")


def test_wrong_credentials_get_no_answer(account: Any, client: Client) -> None:
    create(client, "k")
    wrong = Client(headers={"Authorization": "Bearer x"})
    refused(create(wrong, "k"), 401, 11062)
    refused(create(Client(), "k"), 403, 12010)


def test_a_wrong_password_counts_once(account: Account, configure: Callable[..., None]) -> None:
    configure(Logins, failed_logins=3)
    credentials = base64.b64encode(f"{account.login}:wrong".encode()).decode()
    guesser = Client(headers={"Authorization": f"Basic {credentials}"})
    for _ in range(3):
        assert create(guesser, "k").headers["WWW-Authenticate"].startswith("Basic")
    refused(create(guesser, "k"), 429, 11065)


@pytest.mark.usefixtures("account_header")
def test_an_answer_is_for_the_same_rights(account: Account) -> None:
    """A client without the permission does not receive the stored response of the key."""
    owner = basic_client(account)
    token_id, token, _ = issue(account, permissions={"face": ["creation"]})
    _, powerless, _ = issue(account, permissions={})
    first = create(token, "k")
    assert first.status_code == 201
    assert create(token, "k").content == first.content
    for other in (powerless, owner, header_client(account)):
        assert "a different request" in refused(create(other, "k"), 400, 12046)
    assert owner.put(f"/6/tokens/{token_id}", {"permissions": {}}, content_type="application/json").status_code == 204
    refused(create(token, "k"), 400, 12046)
    refused(create(token, "new"), 403, 11059)
    assert faces() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_done() -> None:
    client = client_of(make_account())
    codes: list[int] = []

    def run() -> None:
        try:
            codes.append(create(client, "k").status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {201, 409}
    assert 201 in codes
    assert faces() == 1


@pytest.mark.django_db(transaction=True)
def test_whole_bodies_are_compared_as_they_arrive() -> None:
    """Through the server, where a body is a file: it is read twice, once to compare and once to store."""
    account = make_account()
    with platform(threads=1, max_body_bytes=10**7) as port:
        caller = Caller(port, account.login)
        caller.headers["Idempotency-Key"] = "k"
        body = bytes(3_000_000)
        status, stored = caller.ask("POST", "/6/objects", body, "a/b")
        assert status == 201
        assert caller.ask("POST", "/6/objects", body, "a/b") == (201, stored)
        assert caller.ask("POST", "/6/objects", body[:-1] + b"x", "a/b")[0] == 400
    assert StoredObject.objects.unscoped().get().size_bytes == 3_000_000


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Takes Redis away from this process, and gives it back."""

    def switch(gone: bool) -> None:
        def execute(self: Any, *arguments: Any, **options: Any) -> Any:
            if gone:
                raise redis.exceptions.ConnectionError("gone")
            return real(self, *arguments, **options)

        monkeypatch.setattr(redis.Redis, "execute_command", execute)
        breaker.close()

    real: Callable[..., Any] = redis.Redis.execute_command
    yield switch
    monkeypatch.undo()
    breaker.close()
    late.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_redis_a_request_with_a_key_is_not_done(client: Client, away: Callable[[bool], None]) -> None:
    away(True)
    answer = create(client, "k")
    refused(answer, 503, 29005)
    assert answer.headers["Retry-After"] == "1"
    assert faces() == 0
    away(False)
    assert create(client, "k").status_code == 201


def test_what_was_done_is_answered_when_redis_goes_away(
    client: Client, away: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    make = services.face_create

    def leaving(**fields: Any) -> Any:
        away(True)
        return make(**fields)

    monkeypatch.setattr(services, "face_create", leaving)
    first = create(client, "k")
    assert first.status_code == 201
    again = create(client, "k")  # this process knows it
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    away(False)
    until(lambda: not late().status()["waiting"])
    assert create(client, "k").content == first.content
    (name,) = redis_client.keys("luna:idempotency:*")
    assert redis_client.ttl(name) > kept_answers.LEASE_S
    assert faces() == 1


def test_a_failed_request_is_answered_when_redis_goes_away(
    client: Client, away: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch, redis_client: redis.Redis
) -> None:
    def failing(**_: Any) -> Any:
        away(True)
        raise LunaError(errors.LISTS_NOT_FOUND, "x")

    monkeypatch.setattr(services, "face_create", failing)
    refused(create(client, "k"), 400, 22005)
    away(False)
    (name,) = redis_client.keys("luna:idempotency:*")
    assert 0 < redis_client.ttl(name) <= kept_answers.LEASE_S  # not for a day


def test_an_answer_that_cannot_be_kept_is_still_a_success(client: Client, redis_client: redis.Redis) -> None:
    bound: Any = redis_client.config_get("maxmemory")["maxmemory"]
    assert create(client, "before").status_code == 201
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Claim, "take", lambda *_: None)  # the key was taken while there was room
            redis_client.config_set("maxmemory", 1)
            first = create(client, "k")
        assert first.status_code == 201
        refused(create(client, "other"), 503, 29005)
        assert create(client, "k").content == first.content
    finally:
        redis_client.config_set("maxmemory", bound)
    until(lambda: not late().status()["waiting"])
    assert create(client, "k").content == first.content
    assert faces() == 2


def test_the_oldest_answers_of_an_account_make_room(
    client: Client, stranger: Client, redis_client: redis.Redis
) -> None:
    create(stranger, "theirs")
    with override_config(KeptAnswers, account_max_size=4000):
        answers = [create(client, f"k{number}").content for number in range(30)]
        kept = len(redis_client.keys("luna:idempotency:*")) - 1
        assert 2 <= kept <= 8
        assert create(client, "k29").content == answers[29]
        assert create(stranger, "theirs").headers["Idempotency-Replayed"] == "true"
        assert create(client, "k0").content != answers[0]
    assert all(redis_client.ttl(name) > 0 for name in redis_client.keys("luna:idempotency*"))


def test_the_oldest_answers_of_all_accounts_make_room(
    client: Client, stranger: Client, redis_client: redis.Redis
) -> None:
    with override_config(KeptAnswers, max_size=4000):
        create(stranger, "theirs")
        for number in range(10):
            create(client, f"k{number}")
        assert "Idempotency-Replayed" not in create(stranger, "theirs").headers
        assert len(redis_client.keys("luna:idempotency:*")) <= 8


def test_a_key_that_is_used_again_is_not_removed_for_its_former_answer(
    client: Client, redis_client: redis.Redis
) -> None:
    with override_config(KeptAnswers, account_max_size=4000):
        create(client, "k")
        (name,) = redis_client.keys("luna:idempotency:*")
        redis_client.delete(name)  # as its time ended
        second = create(client, "k").content
        for number in range(3):
            create(client, f"k{number}")
        assert create(client, "k").content == second


def test_a_retry_of_a_large_answer_learns_that_it_was_done(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWER_BYTES", 10)
    first, again = create(client, "k"), create(client, "k")
    assert first.status_code == 201
    assert "too large to keep" in refused(again, 410, 12046)
    assert again.headers["Location"] == first.headers["Location"]
    assert faces() == 1


def test_what_needs_redis_says_so_without_it(client: Client, away: Callable[[bool], None]) -> None:
    body = orjson.dumps({"basic_attributes": {"attributes": {"age": 30}}})
    away(True)
    for answer in (
        client.post("/6/attributes", body, content_type="application/json"),
        client.get(f"/6/attributes/{uuid4()}"),
    ):
        refused(answer, 503, 29005)
        assert answer.headers["Retry-After"] == "1"
    assert create(client, "").status_code == 400
    assert client.post("/6/faces", b"{}", content_type="application/json").status_code == 201
