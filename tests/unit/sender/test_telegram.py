"""Callbacks to Telegram chats, against a local server."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from apps.common.config import OutgoingRequests, SettingsError
from apps.common.secrets import Secret
from apps.sender.config import Callbacks
from apps.sender.targets import TARGETS, PermanentError, TelegramChat, TransientError

TOKEN = "12345:" + "a" * 30
received: list[tuple[str, dict[str, object]]] = []
answers: list[int] = []


class Bot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        received.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(answers[0])
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def bot(configure: Callable[..., None]) -> Iterator[None]:
    received.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Bot) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        configure(Callbacks, telegram_url=f"http://127.0.0.1:{server.server_address[1]}/")
        configure(OutgoingRequests, allow_private_urls=True)
        yield
        server.shutdown()
        thread.join()


def chat(token: str = TOKEN) -> TelegramChat:
    target = TelegramChat(chat_id="-100200", token=Secret.seal(token), timeout_s=5)
    stored = json.loads(json.dumps(target.packed()))
    assert token not in str(stored) + repr(target) + target.place + target.server
    return TARGETS["telegram"].unpacked(stored)  # type: ignore[return-value]


def deliver(status: int) -> None:
    answers[:] = [status]
    chat().deliver(uuid4(), json.dumps({"task_id": 7, "text": "Task 7: готово"}))


def test_a_chat_receives_the_text_of_the_payload(bot: None) -> None:
    deliver(200)
    assert received == [(f"/bot{TOKEN}/sendMessage", {"chat_id": "-100200", "text": "Task 7: готово"})]


@pytest.mark.parametrize(("status", "kind"), [(429, TransientError), (502, TransientError), (403, PermanentError)])
def test_answers_decide_about_retries(bot: None, status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=f"HTTP {status}"):
        deliver(status)


def test_errors_do_not_show_the_token(configure: Callable[..., None]) -> None:
    configure(Callbacks, telegram_url="http://127.0.0.1:9")
    with pytest.raises(PermanentError, match="not public") as refused:
        chat().deliver(uuid4(), '{"text": ""}')
    configure(OutgoingRequests, allow_private_urls=True)
    with pytest.raises(TransientError) as unreachable:
        chat().deliver(uuid4(), '{"text": ""}')
    for error in (refused.value, unreachable.value):
        assert TOKEN not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__


@pytest.mark.parametrize("url", ["ftp://a", "https://user@a", "https://a?b=1", "a"])
def test_other_addresses_of_the_api_are_refused(configure: Callable[..., None], url: str) -> None:
    with pytest.raises((SettingsError, ValueError), match="must be a URL such as"):
        configure(Callbacks, telegram_url=url)
