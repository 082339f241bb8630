"""MQTT callbacks against a real broker, and against brokers that refuse, hang or leave."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import orjson
import ormsgpack
import pytest

from apps.common.config import OutgoingRequests
from apps.common.secrets import Secret
from apps.sender.targets import MESSAGEPACK, TARGETS, MqttTopic, PermanentError, TransientError, mqtt
from tests.mqtt import LOGIN, PASSWORD, Brokers, Subscriber, brokers

PAYLOAD = '{"event":{"source":"дверь"}}'
CONNECTED, REFUSED, AWAY = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05", b"\x20\x02\x00\x03"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with brokers(tmp_path_factory.mktemp("mqtt")) as found:
        yield found


@pytest.fixture(autouse=True)
def private(configure: Callable[..., None]) -> None:
    configure(OutgoingRequests, allow_private_urls=True)


@pytest.fixture
def subscriber(broker: Brokers) -> Iterator[Subscriber]:
    found = Subscriber(broker.port, "luna/#")
    yield found
    found.close()


def topic_of(port: int, topic: str = "luna", scheme: str = "mqtt", **values: Any) -> MqttTopic:
    credentials = {"login": Secret.seal(LOGIN), "password": Secret.seal(PASSWORD)}
    return MqttTopic(url=f"{scheme}://127.0.0.1:{port}", topic=topic, **{"timeout_s": 10, **credentials, **values})


received: list[bytes] = []


@contextmanager
def fake(*answers: bytes) -> Iterator[int]:
    """A broker that sends one answer for each packet, then nothing; without answers it closes the connection."""
    received.clear()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                for answer in answers:
                    received.append(connection.recv(4096))
                    connection.sendall(answer)
                while answers and connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_arrives(broker: Brokers, subscriber: Subscriber, qos: int) -> None:
    callback_id = uuid4()
    topic_of(broker.port, f"luna/{qos}", qos=qos).deliver(callback_id, PAYLOAD)
    message = subscriber.next()
    assert message.topic == f"luna/{qos}"
    assert orjson.loads(message.payload) == {"callback_id": str(callback_id), **orjson.loads(PAYLOAD)}


@pytest.mark.parametrize(
    ("qos", "answers"), [(0, [b""]), (1, [b"\x40\x02\x00\x01"]), (2, [b"\x50\x02\x00\x01", b"\x70\x02\x00\x01"])]
)
def test_the_packet_has_quality_and_retain(qos: int, answers: list[bytes]) -> None:
    with fake(CONNECTED, *answers) as port:
        topic_of(port, qos=qos, retain=True).deliver(uuid4(), PAYLOAD)
    assert received[1][0] == 0x31 | qos << 1


def test_a_retained_message_waits_for_subscribers(broker: Brokers) -> None:
    topic_of(broker.port, "retained", retain=True, content_type=MESSAGEPACK).deliver(uuid4(), PAYLOAD)
    late = Subscriber(broker.port, "retained")
    assert ormsgpack.unpackb(late.next().payload)["event"] == {"source": "дверь"}
    late.close()


def test_tls_verifies_the_broker(broker: Brokers, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch) -> None:
    target = topic_of(broker.tls_port, scheme="mqtts")
    with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
        target.deliver(uuid4(), PAYLOAD)
    monkeypatch.setattr(mqtt, "ssl_context", lambda: ssl.create_default_context(cafile=str(broker.certificate)))
    target.deliver(uuid4(), PAYLOAD)
    assert subscriber.next().topic == "luna"


def test_a_wrong_password(broker: Brokers) -> None:
    """This broker closes the connection without an answer."""
    with pytest.raises(TransientError, match="before it confirmed the connection"):
        topic_of(broker.port, password=Secret.seal("wrong")).deliver(uuid4(), PAYLOAD)
    with fake(REFUSED) as port, pytest.raises(PermanentError, match="Not authorized"):
        topic_of(port).deliver(uuid4(), PAYLOAD)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ((AWAY,), "Server unavailable"),
        ((), "before it confirmed the connection"),
        ((b"",), "did not confirm the connection in time"),
        ((b"HTTP/1.1 400 Bad Request\r\n" + b"\r\n" * 99,), "before it confirmed the connection"),
        ((CONNECTED,), "did not confirm the message in time"),
    ],
)
def test_brokers_that_are_away(answers: tuple[bytes, ...], problem: str) -> None:
    with fake(*answers) as port, pytest.raises(TransientError, match=problem):
        topic_of(port, timeout_s=0.3).deliver(uuid4(), PAYLOAD)


def test_a_broker_without_a_listener_and_without_an_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TransientError, match="refused"):
        topic_of(port).deliver(uuid4(), PAYLOAD)
    with pytest.raises(TransientError, match="no address"):
        MqttTopic(url="mqtt://broker.invalid", topic="a").deliver(uuid4(), PAYLOAD)


def test_private_addresses_are_not_called(broker: Brokers, configure: Callable[..., None]) -> None:
    configure(OutgoingRequests, allow_private_urls=False)
    for scheme in ("mqtt", "mqtts"):
        with pytest.raises(PermanentError, match="not public"):
            topic_of(broker.port, scheme=scheme).deliver(uuid4(), PAYLOAD)


def test_values_stay_one_level_of_the_topic() -> None:
    values = {"account_id": uuid4(), "handler_id": None, "source": "a/b+#%\n é"}
    target = topic_of(1883, "luna/{account_id}/{handler_id}/{source}").filled(values)
    assert target.topic == f"luna/{values['account_id']}/-/a%2Fb%2B%23%25%0A é"
    assert topic_of(1883, "{source}").filled({"source": "{account_id}"}).topic == "{account_id}"


def test_packed_and_unpacked_without_plain_secrets() -> None:
    target = topic_of(1883)
    packed = orjson.loads(orjson.dumps(target.packed()))
    assert PASSWORD not in str(packed)
    assert TARGETS["mqtt"].unpacked(packed) == target
    assert target.server == "mqtt://127.0.0.1:1883"
    assert MqttTopic(url="mqtts://A", topic="t").server == "mqtts://a:8883"
