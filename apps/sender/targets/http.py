"""Webhooks: callbacks POSTed to a URL, without redirects and to public addresses only (`apps.common.fetch`)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import Answer, FetchError, RefusedError, Timeouts, post, shown_url
from apps.common.secrets import Secret, UnreadableSecretError
from apps.common.times import utc_now
from apps.sender.config import Callbacks
from apps.sender.signatures import signed_headers
from apps.sender.targets.base import JSON, PermanentError, Target, TransientError, encoded

PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
SECRETS = ("login", "password", "secret")


def answer_check(answer: Answer) -> None:
    """Raise TransientError for a status that may pass, PermanentError for any other failure."""
    if answer.status in PASSING_STATUSES:
        raise TransientError(f"HTTP {answer.status}", wait_s=retry_after_s(answer.headers))
    if answer.status >= 300:
        raise PermanentError(f"HTTP {answer.status}")


def retry_after_s(headers: Mapping[str, str]) -> float:
    """Return the seconds of a header `Retry-After` (RFC 9110: seconds, or a date); 0 without a valid one."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - utc_now()).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without time zone
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook(Target):
    """A URL. `login` and `password` make Basic credentials; `secret` signs the body."""

    kind: ClassVar[str] = "http"

    url: str
    content_type: str = JSON
    headers: Mapping[str, Secret] = field(default_factory=dict)
    login: Secret | None = None
    password: Secret | None = None
    secret: Secret | None = None
    timeout_s: float = 60.0

    @property
    def place(self) -> str:
        return shown_url(self.url)

    @property
    def server(self) -> str:
        # With its path: a gateway serves several receivers under one host, and one of them may fail alone.
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.lower()}{parts.path or '/'}"

    def packed(self) -> Mapping[str, object]:
        secrets = {name: getattr(self, name) for name in SECRETS}
        return {
            "url": self.url,
            "content_type": self.content_type,
            "timeout_s": self.timeout_s,
            "headers": {name: value.token for name, value in self.headers.items()},
            **{name: secret.token for name, secret in secrets.items() if secret is not None},
        }

    @classmethod
    def unpacked(cls, data: Mapping[str, Any]) -> Self:
        secrets: dict[str, Any] = {name: Secret(data[name]) for name in SECRETS if name in data}
        headers = {name: Secret(token) for name, token in data["headers"].items()}
        return cls(**{**data, **secrets, "headers": headers})

    def deliver(self, callback_id: UUID, payload: str) -> None:
        body = encoded(payload.encode(), self.content_type)
        try:
            answer = post(
                self.url,
                body=body,
                headers=self._headers() | signed_headers(callback_id, body, self._signing_secret()),
                timeouts=Timeouts(self.timeout_s),
                allow_private=config(OutgoingRequests).allow_private_urls,
            )
        except (RefusedError, UnreadableSecretError) as error:
            raise PermanentError(str(error)) from error
        except FetchError as error:
            raise TransientError(str(error)) from error
        answer_check(answer)

    def _headers(self) -> dict[str, str]:
        headers = {name: value.reveal() for name, value in self.headers.items()}
        headers |= {"Content-Type": self.content_type, "User-Agent": "luna"}
        if self.login is not None:
            password = "" if self.password is None else self.password.reveal()
            credentials = base64.b64encode(f"{self.login.reveal()}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        return headers

    def _signing_secret(self) -> str | None:
        if self.secret is not None:
            return self.secret.reveal()
        return config(Callbacks).signing_secret.get_secret_value() or None
