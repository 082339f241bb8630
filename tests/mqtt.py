"""An MQTT broker (rumqttd) on loopback, with a password, without TLS and with TLS; and a subscriber."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from iotcore import Broker
from paho.mqtt.enums import CallbackAPIVersion

from tests.certificates import make_certificate
from tests.ports import free_port

LOGIN, PASSWORD = "door", "pa55w0rd"
CONFIG = """
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""
LISTENER = """
[v4.{number}]
name = "v4-{number}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
{tls}
    [v4.{number}.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480000
    max_inflight_count = 100
    dynamic_filters = true
    [v4.{number}.connections.auth]
    {login} = "{password}"
"""


@dataclass(frozen=True)
class Brokers:
    """Ports of both listeners, and the file of the certificate."""

    port: int
    tls_port: int
    certificate: Path


@contextmanager
def brokers(folder: Path) -> Iterator[Brokers]:
    certificate, key = make_certificate(folder)
    found = Brokers(free_port(), free_port(), certificate)
    tls = f'[v4.2.tls]\ncertpath = "{certificate}"\nkeypath = "{key}"\n'
    listeners = ((1, found.port, ""), (2, found.tls_port, tls))
    text = CONFIG + "".join(
        LISTENER.format(number=number, port=port, tls=tls, login=LOGIN, password=PASSWORD)
        for number, port, tls in listeners
    )
    path = folder / "broker.toml"
    path.write_text(text)
    with Broker(config_path=str(path)):
        yield found


class Subscriber:
    """All messages of the broker below `topics`."""

    def __init__(self, port: int, topics: str = "#") -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(LOGIN, PASSWORD)
        subscribed: list[object] = []
        self.client.on_message = lambda client, userdata, message: self.messages.append(message)
        self.client.on_subscribe = lambda client, userdata, mid, codes, properties: subscribed.append(mid)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe(topics, 2)
        self.wait(lambda: bool(subscribed))

    def wait(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "no message"
            time.sleep(0.005)

    def next(self) -> mqtt.MQTTMessage:
        self.wait(lambda: bool(self.messages))
        return self.messages.pop(0)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
