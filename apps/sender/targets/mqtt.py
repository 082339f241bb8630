"""MQTT: callbacks published to a topic of a broker (MQTT 3.1.1), with the address check of webhooks."""

import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

import orjson
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from apps.common.config import OutgoingRequests, config
from apps.common.fetch import FetchError, RefusedError, resolve, shown_url, ssl_context
from apps.common.secrets import Secret, UnreadableSecretError
from apps.sender.targets.base import JSON, PermanentError, Target, TransientError, encoded

PLAIN, TLS = "mqtt", "mqtts"
PORTS = {PLAIN: 1883, TLS: 8883}
PLACEHOLDERS = frozenset({"account_id", "handler_id", "source"})
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
SPECIAL = re.compile(r"[/+#%\x00-\x1f\x7f]")
NOTHING = "-"  # the value of a placeholder without a value
SECRETS = ("login", "password")
STEP_S = 1.0
# Answers that a retry would repeat: wrong credentials, no permission, an unsupported protocol.
REFUSALS = frozenset({"Bad user name or password", "Not authorized", "Unsupported protocol version", "Banned"})


def topic_problem(topic: str) -> str | None:
    """Return why a topic cannot be published to, or None. Placeholders are allowed."""
    unknown = sorted(set(PLACEHOLDER.findall(topic)) - PLACEHOLDERS)
    if unknown:
        return f"Unknown placeholder: {', '.join(unknown)}; known: {', '.join(sorted(PLACEHOLDERS))}."
    plain = PLACEHOLDER.sub("", topic)
    if re.search(r"[+#{}\x00-\x1f\x7f]", plain):
        return "The topic must have no wildcards (`+`, `#`), control characters, and braces except of placeholders."
    if topic.startswith("$"):
        return "Topics that begin with `$` belong to the broker."
    return None


def address_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port. Raises ValueError for another URL."""
    parts = urlsplit(url)
    port = parts.port
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or parts.path.strip("/") or parts.query:
        raise ValueError("The URL must be `mqtt://host[:port]` or `mqtts://host[:port]`.")
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme]


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttTopic(Target):
    """A topic of a broker. `url`: `mqtt://host:port`, or `mqtts://` for TLS. `qos`: 0, 1 or 2."""

    kind: ClassVar[str] = "mqtt"

    url: str
    topic: str
    content_type: str = JSON
    qos: int = 1
    retain: bool = False
    login: Secret | None = None
    password: Secret | None = None
    timeout_s: float = 60.0

    @property
    def place(self) -> str:
        return f"{shown_url(self.url)}, topic {self.topic!r}"

    @property
    def server(self) -> str:
        return "{}://{}:{}".format(*address_of(self.url))

    def filled(self, values: Mapping[str, object]) -> Self:
        """Return the target with the values of the topic's placeholders.

        `/`, `+`, `#`, `%` and control characters of a value are percent-encoded, so that it stays one level.
        """
        return replace(self, topic=PLACEHOLDER.sub(lambda match: _level(values.get(match[1])), self.topic))

    def packed(self) -> Mapping[str, object]:
        secrets = {name: getattr(self, name) for name in SECRETS}
        plain = ("url", "topic", "content_type", "qos", "retain", "timeout_s")
        return {
            **{name: getattr(self, name) for name in plain},
            **{name: secret.token for name, secret in secrets.items() if secret is not None},
        }

    @classmethod
    def unpacked(cls, data: Mapping[str, Any]) -> Self:
        secrets: dict[str, Any] = {name: Secret(data[name]) for name in SECRETS if name in data}
        return cls(**{**data, **secrets})

    def deliver(self, callback_id: UUID, payload: str) -> None:
        message = {"callback_id": str(callback_id), **orjson.loads(payload)}
        try:
            _publish(self, encoded(orjson.dumps(message), self.content_type))
        except (RefusedError, UnreadableSecretError) as error:
            raise PermanentError(str(error)) from error
        except (FetchError, OSError) as error:  # of TLS too
            raise TransientError(f"{shown_url(self.url)}: {error!r}") from error


class _Client(mqtt.Client):
    """Connects to the checked address of the host until the deadline (seconds of `time.monotonic`)."""

    def __init__(self, deadline: float) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=f"luna-{uuid4().hex[:16]}",  # brokers must accept 23 characters
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        self.deadline = deadline

    def step(self, awaited: str) -> None:
        """Send and receive. Raises TransientError after the deadline, or when the broker has closed the connection."""
        left_s = self.deadline - time.monotonic()
        if left_s <= 0:
            raise TransientError(f"the broker did not confirm {awaited} in time")
        if self.loop(min(left_s, STEP_S)) != mqtt.MQTT_ERR_SUCCESS:
            raise TransientError(f"the broker closed the connection before it confirmed {awaited}")

    def _create_socket_connection(self) -> socket.socket:  # paho calls it
        address = resolve(self._host, self._port, allow_private=config(OutgoingRequests).allow_private_urls)
        self._connect_timeout = max(self.deadline - time.monotonic(), 0.001)  # of the TLS handshake too
        return socket.create_connection((address, self._port), timeout=self._connect_timeout)


def _publish(target: MqttTopic, body: bytes) -> None:
    """Connect, publish and disconnect. Raises FetchError, OSError, PermanentError or TransientError."""
    scheme, host, port = address_of(target.url)
    answers: list[ReasonCode] = []
    client = _Client(time.monotonic() + target.timeout_s)
    client.on_connect = lambda client, userdata, flags, answer, properties: answers.append(answer)
    if target.login is not None:
        client.username_pw_set(target.login.reveal(), None if target.password is None else target.password.reveal())
    if scheme == TLS:
        client.tls_set_context(ssl_context())
    try:
        client.connect(host, port)
        while not answers:
            try:
                client.step("the connection")
            except TransientError:
                if not answers:  # a refusal ends the connection too
                    raise
        if answers[0].is_failure:
            answer = answers[0].getName()
            raise (PermanentError if answer in REFUSALS else TransientError)(f"the broker answered: {answer}")
        sent = client.publish(target.topic, body, qos=target.qos, retain=target.retain)
        while not sent.is_published():
            client.step("the message")
        client.disconnect()
    finally:
        if (connection := client.socket()) is not None:
            connection.close()


def _level(value: object) -> str:
    return NOTHING if value is None or value == "" else SPECIAL.sub(lambda sign: quote(sign[0], safe=""), str(value))
