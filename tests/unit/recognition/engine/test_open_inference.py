"""Networks on an inference server: the same answers as here, 503 when it dies, recovery when it is back."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from django.conf import settings

from apps.common.errors import LunaError
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.open_inference import InferenceServer
from apps.recognition.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.unit.recognition.pictures import astronaut, encoded

PROGRAM = Path(__file__).parent / "inference_server.py"
PLAN = Plan(estimators=frozenset({"face_descriptor", "basic_attributes"}))


class Server:
    """The small server as a process of its own, on a port that it keeps."""

    def __init__(self, form: str, networks: Path = settings.NETWORKS_DIR) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.arguments = [sys.executable, str(PROGRAM), str(self.port), str(networks), form]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.arguments)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self.url}/v2", trust_env=False)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise TimeoutError("the server does not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=["binary", "json"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    yield running
    running.kill()


def remote_engine(server: Server) -> Engine:
    return Engine(EngineConfig(settings.NETWORKS_DIR, inference_url=server.url, deadline_s=20))


def test_a_server_answers_as_this_process_does_dies_and_comes_back(server: Server, engine: Engine) -> None:
    picture = ImageInput(encoded(astronaut()))
    (expected,) = Pipeline(engine, PLAN).process(picture).faces
    remote = remote_engine(server)
    try:
        pipeline = Pipeline(remote, PLAN)
        (face,) = pipeline.process(picture).faces
        assert face.rect == expected.rect
        ours, theirs = (each.estimations["face_descriptor"].vector for each in (expected, face))
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
        status = remote.status()
        assert status["device"] == server.url
        assert remote.tasks["face_descriptor"] in status["loaded"]

        server.kill()
        with pytest.raises(LunaError) as caught:
            pipeline.process(picture)
        assert (caught.value.code, caught.value.status) == (100035, 503)

        server.start()
        assert pipeline.process(picture).faces[0].rect == expected.rect
    finally:
        remote.close()


def test_more_rows_than_the_largest_batch_go_in_parts(engine: Engine) -> None:
    server = Server("binary")
    remote = remote_engine(server)
    try:
        manifest = engine.manifest(engine.tasks["emotion"])
        rows = manifest.batch_sizes[-1] * 2 + 1
        pixels = np.random.default_rng(1).integers(0, 256, (rows, 64, 64, 3), np.uint8)
        tensor = manifest.input.tensor(pixels)
        theirs = remote.run(manifest.name, tensor, remote.deadline())
        ours = engine.run(manifest.name, tensor, engine.deadline())
        np.testing.assert_allclose(theirs["emotion"], ours["emotion"], atol=1e-5)
        with pytest.raises(LunaError) as caught:
            remote.run(manifest.name, tensor, time.monotonic() - 1)
        assert (caught.value.code, caught.value.status) == (37001, 503)
    finally:
        remote.close()
        server.kill()


def test_a_server_that_is_not_there_stops_the_start(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"^The inference server http://127\.0\.0\.1:9 does not answer: .*\.$"):
        Engine(replace(engine.config, inference_url="http://127.0.0.1:9"))


def test_a_server_without_the_model_stops_the_start(tmp_path: Path) -> None:
    server = Server("json", tmp_path)
    try:
        with pytest.raises(EngineError, match=r"has no model blazeface that is ready: status 404\.$"):
            remote_engine(server)
    finally:
        server.kill()


class Odd(BaseHTTPRequestHandler):
    """Answers every inference with `reply`: a status and a body."""

    reply = (200, b"{}")
    delay_s = 0.0

    def do_GET(self) -> None:
        self.send(200, json.dumps({"extensions": []}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.delay_s)
        self.send(*self.reply)

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Silent."""


@pytest.fixture
def odd() -> Iterator[str]:
    running = HTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.parametrize(
    "reply",
    [
        (500, b"{}"), (200, b"{}"), (200, b"nonsense"), (200, b'{"outputs": [{"name": "emotion"}]}'),
        (200, b'{"outputs": [{"name": "emotion", "datatype": "FP32", "shape": [1, 7], "data": [1, 2]}]}'),
        (200, b'{"outputs": 3}'),
    ],
)  # fmt: skip
def test_answers_that_are_not_of_the_protocol_are_503(
    odd: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, reply: tuple[int, bytes]
) -> None:
    monkeypatch.setattr(Odd, "reply", reply)
    client = InferenceServer(odd, connections=2)
    manifest = engine.manifest(engine.tasks["emotion"])
    with pytest.raises(LunaError) as caught:
        client.infer(manifest, np.zeros((1, 64, 64, 1), np.float32), time.monotonic() + 5)
    client.close()
    assert (caught.value.code, caught.value.status) == (100035, 503)


def test_a_slow_server_is_not_waited_for_longer_than_the_deadline(
    odd: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Odd, "delay_s", 1.5)
    client = InferenceServer(odd, connections=2)
    started = time.monotonic()
    with pytest.raises(LunaError) as caught:
        client.infer(engine.manifest("emotion"), np.zeros((1, 64, 64, 1), np.float32), time.monotonic() + 0.3)
    client.close()
    assert time.monotonic() - started < 1.4
    assert (caught.value.code, caught.value.status) == (37001, 503)
