"""Networks on an inference server: the same answers as here, 503 when it dies, recovery when it is back."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from django.conf import settings

from apps.common.config import Directories, config
from apps.common.errors import LunaError
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.open_inference import connect
from apps.recognition.engine.open_inference.messages import MESSAGES
from apps.recognition.networks.specs import Manifest
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, Plan
from tests.certificates import make_certificate
from tests.unit.recognition.engine.grpc_server import started
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import astronaut, encoded

PLAN = Plan(estimators=frozenset({"face_descriptor", "basic_attributes"}))
RECOVERY_S = 5


class Server:
    """A small server as a process of its own, on a port that it keeps. `form`: binary or json (HTTP), or grpc."""

    def __init__(self, form: str, networks: Path | None = None) -> None:
        networks = networks or config(Directories).networks
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        way = "grpc" if form == "grpc" else "http"
        module = f"tests.unit.recognition.engine.{way}_server"
        self.arguments = [sys.executable, "-m", module, str(self.port), str(networks), form]
        self.url = f"{way}://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.arguments, cwd=settings.BASE_DIR)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the server does not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def eventually(call: Callable[[], ImageResult]) -> ImageResult:
    """What `call` answers when it no longer meets an absent server."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            return call()
        except LunaError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@pytest.fixture(params=["binary", "json", "grpc"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    running = Server(request.param)
    yield running
    running.kill()


def remote_engine(server: Server) -> Engine:
    return Engine(EngineConfig(config(Directories).networks, inference_url=server.url, deadline_s=20))


def test_a_server_answers_as_this_process_does_dies_and_comes_back(server: Server, engine: Engine) -> None:
    picture = ImageInput(encoded(astronaut()))
    (expected,) = Pipeline(engine, PLAN).process(picture).faces
    remote = remote_engine(server)
    try:
        pipeline = Pipeline(remote, PLAN)
        (face,) = pipeline.process(picture).faces
        assert face.rect == expected.rect
        ours, theirs = (told(each, "face_descriptor").vector for each in (expected, face))
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
        remote.warm_up(frozenset({"emotion"}))
        status: Any = remote.status()
        assert (status["device"], status["queue_rows"]) == (server.url, 0)
        assert remote.tasks["emotion"] in status["loaded"]
        assert remote.tasks["face_descriptor"] in status["loaded"]

        server.kill()
        for _ in range(2):
            with pytest.raises(LunaError) as caught:
                pipeline.process(picture)
            assert (caught.value.code, caught.value.status) == (100035, 503)
            assert caught.value.headers["Retry-After"] == "1"

        server.start()
        assert eventually(lambda: pipeline.process(picture)).faces[0].rect == expected.rect
    finally:
        remote.close()


@pytest.mark.parametrize("form", ["binary", "grpc"])
def test_more_rows_than_the_largest_batch_go_in_parts(engine: Engine, form: str) -> None:
    server = Server(form)
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


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "grpc://127.0.0.1:9", "grpcs://127.0.0.1:9"])
def test_a_server_that_is_not_there_stops_the_start(engine: Engine, url: str) -> None:
    with pytest.raises(EngineError, match=rf"^The inference server {url} does not respond: .*\.$"):
        Engine(replace(engine.config, inference_url=url))


@pytest.mark.parametrize("url", ["ftp://host:1", "host:1", "grpc://host", "grpc://host:x", "grpc://h:1/v2", "grpcs://"])
def test_an_address_of_another_kind_stops_the_start(engine: Engine, url: str) -> None:
    with pytest.raises(EngineError, match=rf"^LUNA_INFERENCE_URL must be.*, got '{url}'\.$"):
        Engine(replace(engine.config, inference_url=url))


@pytest.mark.parametrize(("form", "why"), [("json", ": status 404"), ("grpc", "")])
def test_a_server_without_the_model_stops_the_start(tmp_path: Path, form: str, why: str) -> None:
    server = Server(form, tmp_path)
    try:
        with pytest.raises(EngineError, match=rf"has no ready model yunet2023{why}\.$"):
            remote_engine(server)
    finally:
        server.kill()


def refused(url: str, manifest: Manifest, seconds: float = 5) -> LunaError:
    """What one picture is refused with."""
    client = connect(url, connections=2)
    tensor = np.zeros((1, *manifest.input.shape), np.float32)
    try:
        with pytest.raises(LunaError) as caught:
            client.infer(manifest, tensor, time.monotonic() + seconds)
    finally:
        client.close()
    assert caught.value.status == 503
    assert caught.value.headers["Retry-After"] == "1"
    return caught.value


class OddHttp(BaseHTTPRequestHandler):
    """Answers every inference with `reply`: a status and a body."""

    reply = (200, b"{}")
    before = staticmethod(bool)  # runs before each answer

    def do_GET(self) -> None:
        self.send(200, json.dumps({"extensions": []}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.before()
        self.send(*self.reply)

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Silent."""


@pytest.fixture
def odd_http() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), OddHttp)
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
        (200, b'{"outputs": [{"name": "emotion", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}'),
        (200, b'{"outputs": [{"name": "emotion", "datatype": "FP32", "shape": [1], "data": [1]}]}'),
        (200, b'{"outputs": [{"name": "emotion", "datatype": "UINT8", "shape": [1], "data": [256]}]}'),
        (200, b'{"outputs": [{"name": "other", "datatype": "FP32", "shape": [1], "data": [1]}]}'),
        (200, b'{"outputs": 3}'), (200, b'{"outputs": ["emotion"]}'),
    ],
)  # fmt: skip
def test_answers_over_http_that_are_not_of_the_protocol_are_503(
    odd_http: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, reply: tuple[int, bytes]
) -> None:
    monkeypatch.setattr(OddHttp, "reply", reply)
    assert refused(odd_http, engine.manifest("emotion")).code == 100035


class OddGrpc:
    """Server that is ready by default and responds to every inference with the result of `reply`."""

    is_ready = True
    reply: Callable[[Any, grpc.ServicerContext], Any]

    def ServerReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=self.is_ready)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:
        return context.abort(grpc.StatusCode.NOT_FOUND, f"no {request.name}\nat all")

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self.reply(request, context)

    def answers(self, *contents: bytes, **output: object) -> None:
        """One output, of the emotion network's name and type unless told otherwise."""
        described = {"name": "emotion", "datatype": "FP32", "shape": [1, 7]} | output
        answer = MESSAGES["ModelInferResponse"](outputs=[described], raw_output_contents=contents)
        self.reply = lambda request, context: answer


@pytest.fixture
def odd_grpc() -> Iterator[tuple[OddGrpc, str]]:
    methods = OddGrpc()
    running, port = started(methods, "127.0.0.1:0")
    yield methods, f"grpc://127.0.0.1:{port}"
    running.stop(None).wait()


SEVEN = np.arange(7, dtype="<f4").tobytes()


@pytest.mark.parametrize(
    ("contents", "output"),
    [
        ((), {}), ((SEVEN,), {"name": "other"}), ((SEVEN,), {"datatype": "BYTES"}), ((SEVEN[:-1],), {}),
        ((SEVEN[:-4],), {}), ((SEVEN, SEVEN), {}), ((SEVEN,), {"shape": [7]}), ((SEVEN,), {"shape": [7, 1]}),
        ((SEVEN * 2,), {"shape": [2, 7]}), ((), {"contents": {"fp32_contents": [1, 2]}}),
        ((), {"datatype": "UINT8", "contents": {"fp32_contents": range(7)}}),
    ],
)  # fmt: skip
def test_answers_over_grpc_that_are_not_of_the_protocol_are_503(
    odd_grpc: tuple[OddGrpc, str], engine: Engine, contents: tuple[bytes, ...], output: dict[str, object]
) -> None:
    methods, url = odd_grpc
    methods.answers(*contents, **output)
    assert refused(url, engine.manifest("emotion")).code == 100035


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_a_grpc_server_says_of_its_failure_is_in_the_answer(
    odd_grpc: tuple[OddGrpc, str], engine: Engine, code: grpc.StatusCode
) -> None:
    methods, url = odd_grpc
    methods.reply = lambda request, context: context.abort(code, "too tired")
    error = refused(url, engine.manifest("emotion"))
    assert error.code == 100035
    assert f"inference server: {code.name}: too tired" in error.detail


@pytest.mark.parametrize(
    ("contents", "output"),
    [
        ((SEVEN,), {}), ((), {"contents": {"fp32_contents": range(7)}}),
        ((), {"datatype": "FP64", "contents": {"fp64_contents": range(7)}}),
        ((np.arange(7, dtype="<f2").tobytes(),), {"datatype": "FP16"}),
    ],
)  # fmt: skip
def test_raw_and_typed_answers_are_read(
    odd_grpc: tuple[OddGrpc, str], engine: Engine, contents: tuple[bytes, ...], output: dict[str, object]
) -> None:
    methods, url = odd_grpc
    methods.answers(*contents, **output)
    client = connect(url, connections=1)
    (found,) = client.infer(engine.manifest("emotion"), np.zeros((1, 64, 64, 1), np.float32), time.monotonic() + 5)
    client.close()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.arange(7, dtype=np.float32)[None])


def test_large_tensors_pass_both_ways(odd_grpc: tuple[OddGrpc, str], engine: Engine) -> None:
    methods, url = odd_grpc
    manifest = engine.manifest("emotion")
    wide = replace(manifest, outputs=(replace(manifest.outputs[0], name="echo", shape=(640, 640, 3)),))
    methods.reply = lambda request, context: MESSAGES["ModelInferResponse"](
        outputs=[{"name": "echo", "datatype": "FP32", "shape": request.inputs[0].shape}],
        raw_output_contents=request.raw_input_contents,
    )
    tensor = np.random.default_rng(2).random((4, 640, 640, 3), np.float32)  # 20 MB; gRPC takes 4 unless told
    client = connect(url, connections=1)
    (found,) = client.infer(wide, tensor, time.monotonic() + 30)
    client.close()
    np.testing.assert_array_equal(found, tensor)


def test_a_grpc_server_that_is_not_ready_stops_the_start(odd_grpc: tuple[OddGrpc, str], engine: Engine) -> None:
    methods, url = odd_grpc
    with pytest.raises(EngineError, match=r"has no ready model yunet2023: NOT_FOUND: no yunet2023\.$"):
        Engine(replace(engine.config, inference_url=url))
    methods.is_ready = False
    with pytest.raises(EngineError, match=rf"^The inference server {url} is not ready\.$"):
        Engine(replace(engine.config, inference_url=url))


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_slow_server_is_not_waited_for_longer_than_the_deadline(
    odd_http: str, odd_grpc: tuple[OddGrpc, str], engine: Engine, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    methods, url = odd_grpc
    released, waits = threading.Event(), list[bool]()
    monkeypatch.setattr(OddHttp, "before", staticmethod(lambda: waits.append(released.wait(60))))
    methods.reply = lambda request, context: waits.append(released.wait(60))
    try:
        error = refused(url if way == "grpc" else odd_http, engine.manifest("emotion"), 0.3)
        assert waits == [], "the server has not answered"
    finally:
        released.set()
    assert error.code == 37001


def test_a_certificate_is_checked(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, key = make_certificate(tmp_path)
    methods = OddGrpc()
    methods.answers(SEVEN)
    running, port = started(
        methods, "127.0.0.1:0", grpc.ssl_server_credentials([(key.read_bytes(), trusted.read_bytes())])
    )
    try:
        with pytest.raises(EngineError, match=r"does not respond: UNAVAILABLE: .*CERTIFICATE_VERIFY_FAILED"):
            connect(f"grpcs://127.0.0.1:{port}", connections=1)
        program = (
            "import numpy, time; from apps.recognition.engine.open_inference import connect;"
            "from apps.recognition.networks.registry import Registry; from pathlib import Path;"
            f"found = connect('grpcs://127.0.0.1:{port}', connections=1).infer("
            f"Registry(Path({str(config(Directories).networks)!r})).get('emotion').manifest,"
            "numpy.zeros((1, 64, 64, 1), numpy.float32), time.monotonic() + 5); print(found[0].shape)"
        )
        environment = {"PATH": "", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(trusted)}
        answer = subprocess.check_output([sys.executable, "-c", program], cwd=settings.BASE_DIR, env=environment)
        assert answer == b"(1, 7)\n"
    finally:
        running.stop(None).wait()
