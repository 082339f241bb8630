"""Telegram: callbacks sent as text messages of a bot to a chat (method `sendMessage` of the Bot API)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from uuid import UUID

import orjson

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import FetchError, RefusedError, Timeouts, post
from apps.common.secrets import MASK, Secret, UnreadableSecretError
from apps.sender.config import Callbacks
from apps.sender.targets.base import JSON, PermanentError, Target, TransientError
from apps.sender.targets.http import answer_check

MAX_CHARACTERS = 4096  # of a message, in the Bot API


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramChat(Target):
    """A chat of a bot. It receives the member `text` of a payload.

    `chat_id`: a number, or `@name` of a channel. `token`: of the bot.
    """

    kind: ClassVar[str] = "telegram"

    chat_id: str
    token: Secret
    timeout_s: float = 60.0

    @property
    def place(self) -> str:
        return f"Telegram chat {self.chat_id}"

    @property
    def server(self) -> str:
        return f"{config(Callbacks).telegram_url}/{self.chat_id}"  # Telegram limits the rate of each chat

    def packed(self) -> Mapping[str, object]:
        return {"chat_id": self.chat_id, "token": self.token.token, "timeout_s": self.timeout_s}

    @classmethod
    def unpacked(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "token": Secret(data["token"])})

    def deliver(self, callback_id: UUID, payload: str) -> None:
        message = {"chat_id": self.chat_id, "text": orjson.loads(payload)["text"][:MAX_CHARACTERS]}
        token = ""
        try:
            token = self.token.reveal()
            answer = post(
                f"{config(Callbacks).telegram_url}/bot{token}/sendMessage",
                body=orjson.dumps(message),
                headers={"Content-Type": JSON, "User-Agent": "luna"},
                timeouts=Timeouts(self.timeout_s),
                allow_private=config(OutgoingRequests).allow_private_urls,
            )
        except UnreadableSecretError as error:
            raise PermanentError(str(error)) from error
        except FetchError as error:  # its text contains the address with the token, and so does its chain
            kind = PermanentError if isinstance(error, RefusedError) else TransientError
            raise kind(str(error).replace(token, MASK)) from None
        answer_check(answer)
