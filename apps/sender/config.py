"""Settings of the sender."""

from apps.common.config import Scope, Settings, group, setting


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
    recheck_s: float = setting(
        10.0, "Seconds between two checks of a websocket's credentials.", env="LUNA_SENDER_RECHECK_S", gt=0, le=86_400
    )
