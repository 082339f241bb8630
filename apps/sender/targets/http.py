"""Webhooks: callbacks POSTed to a URL, without redirects and to public addresses only (`apps.common.fetch`)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit
from uuid import UUID

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import FetchError, RefusedError, Timeouts, post, shown_url
from apps.common.secrets import Secret, UnreadableSecretError
from apps.sender.config import Callbacks
from apps.sender.signatures import signed_headers
from apps.sender.targets.base import JSON, PermanentError, Target, TransientError, encoded

PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
SECRETS = ("login", "password", "secret")


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
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.lower()}"

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
            status = post(
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
        if status >= 300:
            raise (TransientError if status in PASSING_STATUSES else PermanentError)(f"HTTP {status}")

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
