"""Accounts, a server and clients of the websocket."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from websockets.sync.client import ClientConnection, connect

from apps.accounts.services import account_create
from tests.ws.helpers import PASSWORD, Listen, User
from tests.ws.server import serving


@pytest.fixture
def user(transactional_db: None) -> User:
    return _user()


@pytest.fixture
def stranger(transactional_db: None) -> User:
    return _user()


def _user() -> User:
    login = f"{uuid4().hex}@example.com"
    return User(account_create(login=login, password=PASSWORD).account_id, login)


@pytest.fixture(scope="session")
def port(django_db_setup: None) -> Iterator[int]:
    from luna.asgi import application

    with serving(application) as port:
        yield port


@pytest.fixture
def listen(port: int, transactional_db: None) -> Iterator[Listen]:
    """`listen(headers, query)` opens a websocket that is closed after the test."""
    with ExitStack() as stack:

        def _listen(headers: dict[str, str] | None = None, query: str = "", **options: Any) -> ClientConnection:
            uri = f"ws://127.0.0.1:{port}/6/ws?{query}"
            options.setdefault("open_timeout", 20)
            if "host" in options:  # the name in `Host`
                options["sock"] = socket.create_connection(("127.0.0.1", port))
                uri = f"ws://{options.pop('host')}/6/ws?{query}"
            client = connect(uri, additional_headers=headers, proxy=None, close_timeout=1, **options)
            return stack.enter_context(client)

        yield _listen
