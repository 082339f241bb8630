"""The platform's networks on a real MLServer: `make mlserver` installs it and runs this."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from django.conf import settings

from apps.common.errors import LunaError
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.networks.registry import Registry
from apps.recognition.pipeline import Pipeline
from apps.recognition.types import ImageInput, Plan
from tests.unit.recognition.pictures import astronaut, encoded

RUNTIME = Path(__file__).parent / "mlserver"
PROGRAM = shutil.which("mlserver", path=f"{Path('.venv-mlserver/bin').resolve()}:{os.environ.get('PATH', '')}")
PLAN = Plan(estimators=frozenset({"face_descriptor"}))
START_TIMEOUT_S = 90

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="MLServer is not installed: make mlserver")


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class MLServer:
    """MLServer with the networks of the plan as its models."""

    def __init__(self, directory: Path) -> None:
        registry = Registry(settings.NETWORKS_DIR)
        for task in ("face_detector", "face_mesh", "face_descriptor"):
            network = registry.for_task(task)
            folder = directory / network.manifest.name
            folder.mkdir()
            model = {
                "name": network.manifest.name,
                "implementation": "luna_runtime.Onnx",
                "parameters": {"uri": str(network.path)},
            }
            (folder / "model-settings.json").write_text(json.dumps(model))
        http, grpc = free_ports(2)
        server = {
            "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_endpoint": None, "parallel_workers": 0,
        }  # fmt: skip
        (directory / "settings.json").write_text(json.dumps(server))
        self.directory = directory
        self.url = f"http://127.0.0.1:{http}"
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(RUNTIME)}
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "start", str(self.directory)], env=environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/v2/health/ready", trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise TimeoutError((self.directory / "log").read_text()[-2000:])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MLServer]:
    running = MLServer(tmp_path)
    yield running
    running.kill()


def test_mlserver_recognises_dies_and_comes_back(server: MLServer) -> None:
    local = Engine(EngineConfig(settings.NETWORKS_DIR))
    remote = Engine(EngineConfig(settings.NETWORKS_DIR, inference_url=server.url))
    picture = ImageInput(encoded(astronaut()))
    try:
        (expected,) = Pipeline(local, PLAN).process(picture).faces
        pipeline = Pipeline(remote, PLAN)

        def check() -> None:
            (face,) = pipeline.process(picture).faces
            assert face.rect == expected.rect
            ours, theirs = (each.estimations["face_descriptor"].vector for each in (expected, face))
            np.testing.assert_allclose(theirs, ours, atol=1e-5)

        check()
        server.kill()
        with pytest.raises(LunaError) as caught:
            pipeline.process(picture)
        assert (caught.value.code, caught.value.status) == (100035, 503)
        server.start()
        check()
    finally:
        local.close()
        remote.close()
