"""Settings of the sender."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from apps.common.config import Scope, Settings, group, setting
from apps.sender.signatures import key_of


@group("LUNA_SENDER", scope=Scope.LIVE)
class Sender(Settings):
    """Websockets that receive events."""

    queue_messages: int = setting(
        10_000,
        "Notifications that may wait for one websocket before it is closed as a slow reader.",
        env="LUNA_SENDER_QUEUE_MESSAGES",
        ge=1,
        le=2**31,
    )
    queue_bytes: int = setting(
        16 * 1024**2,
        "Bytes that may wait for one websocket before it is closed as a slow reader.",
        env="LUNA_SENDER_QUEUE_BYTES",
        ge=1,
        le=2**40,
    )
    resume_events: int = setting(
        10_000,
        "Missed events that a websocket receives after it is opened with `last_event_id`. With more missed events, the "
        "handshake is rejected.",
        env="LUNA_SENDER_RESUME_EVENTS",
        ge=0,
        le=1_000_000,
    )
    resume_s: float = setting(
        3600.0,
        "Greatest age in seconds of the event that `last_event_id` names.",
        env="LUNA_SENDER_RESUME_S",
        ge=0,
        le=7 * 86_400,
    )
    recheck_s: float = setting(
        10.0, "Seconds between two checks of a websocket's credentials.", env="LUNA_SENDER_RECHECK_S", gt=0, le=86_400
    )


def _signing_secret(secret: SecretStr) -> SecretStr:
    """Return the secret. Raises ValueError for one that cannot sign."""
    if text := secret.get_secret_value():
        key_of(text)
    return secret


def _base_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises ValueError for another one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
        raise ValueError("must be a URL such as `https://api.telegram.org`")
    return url.rstrip("/")


@group("LUNA_CALLBACKS", scope=Scope.LIVE)
class Callbacks(Settings):
    """Delivery of callbacks to webhooks, MQTT brokers and Telegram."""

    signing_secret: Annotated[SecretStr, AfterValidator(_signing_secret)] = setting(
        SecretStr(""),
        "Secret that signs callbacks without a secret of their own: `whsec_` and Base64, or a text of at least 24 "
        "bytes. All accounts share it. Default: such callbacks are not signed.",
    )
    telegram_url: Annotated[str, AfterValidator(_base_url)] = setting(
        "https://api.telegram.org",
        "Address of Telegram's Bot API.",
        accepts="a URL that begins with `https://` or `http://`, without a query",
    )
    target_calls: int = setting(8, "Callbacks that a worker sends to one target of one account at a time.", ge=1, le=32)
    account_calls: int = setting(16, "Callbacks of one account that a worker sends at a time.", ge=1, le=32)
    retry_first: float = setting(
        1.0, "Seconds until the first retry. Each further delay is twice as long.", ge=0, le=3600
    )
    retry_longest: float = setting(600.0, "Longest delay between two attempts, in seconds.", ge=0, le=86_400)
    total_time: float = setting(
        86_400.0, "Seconds after which an undelivered callback becomes a dead letter.", ge=1, le=30 * 86_400
    )
    pending_limit: int = setting(
        100_000,
        "Callbacks of one account that may wait. Beyond it new callbacks are dropped and logged; events are not "
        "affected.",
        ge=1,
        le=10**8,
    )
    pending_bytes: int = setting(
        1024**3, "Bytes of callbacks of one account that may wait; the same rule applies.", ge=1, le=2**50
    )
    dead_days: int = setting(7, "Days until dead letters are removed.", ge=0, le=3650)
    dead_limit: int = setting(
        10_000, "Dead letters of one account that are kept; the oldest are removed first.", ge=0, le=10**8
    )
