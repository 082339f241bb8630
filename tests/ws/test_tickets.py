"""Tickets, other accounts and the paths of the websocket."""

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from apps.accounts.choices import AccountType
from apps.accounts.models import Account, Token
from apps.accounts.services import account_update, token_delete
from apps.common.redis_client import client
from apps.sender import tickets
from apps.sender.config import Sender
from tests.ws.helpers import Listen, User, received_id


def ticket_of(port: int, headers: dict[str, str], status: int = 201) -> Any:
    answer = httpx.post(f"http://127.0.0.1:{port}/6/ws/ticket", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()["ticket" if status == 201 else "error_code"]


def code(listen: Listen, headers: dict[str, str] | None, query: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        listen(headers, query, **options)
    return int(json.loads(caught.value.response.body)["error_code"])


def test_a_ticket_opens_one_websocket_of_its_account(listen: Listen, user: User, stranger: User, port: int) -> None:
    ticket = ticket_of(port, user.basic)
    page_elsewhere = {"Origin": "https://wall.example.com"}
    client = listen(page_elsewhere, f"ticket={ticket}&sources=gate")
    user.publish(source="yard")
    stranger.publish(source="gate")
    sent = user.publish(source="gate")
    assert received_id(client) == sent
    assert code(listen, None, f"ticket={ticket}") == 29001


def test_a_ticket_is_stored_as_a_hash_and_expires(user: User, port: int) -> None:
    ticket = ticket_of(port, user.basic)
    keys = list(client().scan_iter(tickets.KEY.format("*")))
    assert keys
    assert not any(ticket.encode() in key for key in keys)
    assert all(0 < client().ttl(key) <= tickets.LIFETIME_S for key in keys)


@pytest.mark.parametrize("ticket", ["unknown", "%00", "a" * 5_000])
def test_an_unknown_ticket(listen: Listen, user: User, ticket: str) -> None:
    assert code(listen, None, f"ticket={ticket}") == 29001


def test_a_ticket_ends_with_its_token(listen: Listen, user: User, port: int) -> None:
    token_id, bearer = user.bearer({"event": ["view"]})
    ticket = ticket_of(port, bearer)
    token_delete(account_id=user.account_id, token_id=token_id)
    assert code(listen, None, f"ticket={ticket}") == 29001


def test_a_ticket_needs_the_right_to_view_events(user: User, port: int) -> None:
    _, bearer = user.bearer({"face": ["view"]})
    assert ticket_of(port, bearer, 403) == 11059
    assert ticket_of(port, {}, 403) == 12010


def test_who_reads_other_accounts_may_listen_to_them(
    listen: Listen, user: User, stranger: User, port: int, configure: Any
) -> None:
    configure(Sender, recheck_s=0.2)
    account = Account.objects.get(account_id=stranger.account_id)
    account_update(account=account, account_type=AccountType.ADVANCED_USER)
    query = f"account_id={user.account_id}"
    by_password, by_ticket = (
        listen(stranger.basic, query),
        listen(None, f"{query}&ticket={ticket_of(port, stranger.basic)}"),
    )
    own = listen(stranger.basic)
    sent = user.publish()
    assert [received_id(client) for client in (by_password, by_ticket)] == [sent, sent]
    sent = stranger.publish()
    assert received_id(own) == sent
    account_update(account=account, account_type=AccountType.USER)
    with pytest.raises(ConnectionClosed) as closed:
        by_password.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4001
    assert code(listen, stranger.basic, query) == 11063


def test_a_token_listens_to_others_only_if_it_sees_them(listen: Listen, user: User, stranger: User) -> None:
    Account.objects.filter(account_id=stranger.account_id).update(account_type=AccountType.ADVANCED_USER)
    token_id, bearer = stranger.bearer({"event": ["view"]})
    assert code(listen, bearer, f"account_id={user.account_id}") == 11063
    Token.objects.unscoped().filter(token_id=token_id).update(visibility_area="all")
    client = listen(bearer, f"account_id={user.account_id}")
    sent = user.publish()
    assert received_id(client) == sent


def test_the_path_of_the_sender(user: User, port: int) -> None:
    with connect(f"ws://127.0.0.1:{port}/1/ws", additional_headers=user.basic, proxy=None) as client:
        sent = user.publish()
        assert received_id(client) == sent
