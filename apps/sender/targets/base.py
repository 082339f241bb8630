"""The contract of a target of callbacks."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self
from uuid import UUID

import orjson
import ormsgpack

TOKENS = frozenset({"login", "password", "secret", "token"})
"""The members of packed targets that are tokens of secrets, as are all values of `headers`."""
JSON, MESSAGEPACK = "application/json", "application/msgpack"


class DeliveryError(Exception):
    """A callback was not delivered. The message is for operators: it may name internal addresses."""


class TransientError(DeliveryError):
    """A retry may succeed: the target did not answer, or answered that it cannot work now.

    `wait_s`: the seconds after which the target wants the retry.
    """

    def __init__(self, text: str, *, wait_s: float = 0.0) -> None:
        super().__init__(text)
        self.wait_s = wait_s


class PermanentError(DeliveryError):
    """A retry would fail too."""


class Target(ABC):
    """Where a callback goes. Subclasses are frozen dataclasses; their secrets stay sealed until a delivery.

    `kind` names the subclass in stored callbacks. `timeout_s` limits one attempt.
    """

    kind: ClassVar[str]
    timeout_s: float

    @property
    @abstractmethod
    def place(self) -> str:
        """The address for logs and operators, without secrets."""

    @property
    @abstractmethod
    def server(self) -> str:
        """The address that shares a circuit breaker and a limit of concurrent deliveries.

        A failure of this address predicts that its other callbacks fail. It has no secrets.
        """

    def filled(self, values: Mapping[str, object]) -> Self:
        """Return the target for an object with these values: `account_id`, `handler_id` and `source` of an event."""
        return self

    @abstractmethod
    def packed(self) -> Mapping[str, object]:
        """Return the target as JSON, with sealed secrets."""

    @classmethod
    @abstractmethod
    def unpacked(cls, data: Mapping[str, Any]) -> Self:
        """Return the target of `packed`. Raises KeyError or TypeError for other data."""

    @abstractmethod
    def deliver(self, callback_id: UUID, payload: str) -> None:
        """Make one attempt. `payload`: JSON object. Raises TransientError or PermanentError."""


def sealed_places(packed: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the position of each token of a secret in a packed target."""
    headers = packed.get("headers") or {}
    yield from ((packed, name) for name in sorted(TOKENS & packed.keys()))
    yield from ((headers, name) for name in headers)


def encoded(payload: bytes, content_type: str) -> bytes:
    """Return JSON in the encoding of a content type."""
    return ormsgpack.packb(orjson.loads(payload)) if content_type == MESSAGEPACK else payload
