"""The platform's networks on a real MLServer, by both protocols: `make mlserver` installs it and runs this."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from apps.common.config import Directories, config
from apps.common.errors import LunaError
from apps.recognition.engine.config import EngineConfig
from apps.recognition.engine.core import Engine
from apps.recognition.engine.heads.base import LONGER_SIDE_PX
from apps.recognition.networks.registry import Registry
from apps.recognition.run.pipeline import Pipeline
from apps.recognition.types import ImageInput, ImageResult, Plan
from tests.ports import free_port
from tests.unit.recognition.helpers import told
from tests.unit.recognition.pictures import astronaut, encoded

RUNTIME = Path(__file__).parent / "mlserver"
PROGRAM = shutil.which("mlserver", path=f"{Path('.venv-mlserver/bin').resolve()}:{os.environ.get('PATH', '')}")
PLAN = Plan(estimators=frozenset({"face_descriptor"}))
START_TIMEOUT_S, RECOVERY_S = 90, 5

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="MLServer is not installed: make mlserver")


class MLServer:
    """MLServer with the networks of the plan as its models."""

    def __init__(self, directory: Path) -> None:
        registry = Registry(config(Directories).networks)
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
        http, grpc = free_port(), free_port()
        server = {
            "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "grpc_max_message_length": -1,
            "metrics_endpoint": None, "parallel_workers": 0,
        }  # fmt: skip
        (directory / "settings.json").write_text(json.dumps(server))
        self.directory = directory
        self.urls = {"http": f"http://127.0.0.1:{http}", "grpc": f"grpc://127.0.0.1:{grpc}"}
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
                if httpx.get(f"{self.urls['http']}/v2/health/ready", trust_env=False).is_success:
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
    local = Engine(EngineConfig(config(Directories).networks))
    remotes = [Engine(EngineConfig(config(Directories).networks, inference_url=url)) for url in server.urls.values()]
    pipelines = [Pipeline(remote, PLAN) for remote in remotes]
    picture = ImageInput(encoded(astronaut()))
    try:
        (expected,) = Pipeline(local, PLAN).process(picture).faces

        def check(result: ImageResult) -> None:
            (face,) = result.faces
            assert face.rect == expected.rect
            ours, theirs = (told(each, "face_descriptor").vector for each in (expected, face))
            np.testing.assert_allclose(theirs, ours, atol=1e-5)

        for pipeline in pipelines:
            check(pipeline.process(picture))
        server.kill()
        for pipeline in pipelines:
            with pytest.raises(LunaError) as caught:
                pipeline.process(picture)
            assert (caught.value.code, caught.value.status) == (100035, 503)
        server.start()
        for pipeline in pipelines:
            check(when_back(pipeline, picture))
    finally:
        for engine in (local, *remotes):
            engine.close()


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_mlserver_takes_the_largest_batch_of_the_detector(server: MLServer, way: str) -> None:
    local = Engine(EngineConfig(config(Directories).networks))
    remote = Engine(EngineConfig(config(Directories).networks, inference_url=server.urls[way]))
    try:
        manifest = local.manifest(local.tasks["face_detector"])
        side, rows = LONGER_SIDE_PX, manifest.batch_sizes[-1]
        shape = (rows, manifest.input.height or side, manifest.input.width or side, 3)
        tensor = manifest.input.tensor(np.random.default_rng(4).integers(0, 256, shape, np.uint8))
        ours, theirs = (each.run(manifest.name, tensor, each.deadline()) for each in (local, remote))
        for name, values in ours.items():
            np.testing.assert_allclose(theirs[name], values, atol=1e-3)
    finally:
        local.close()
        remote.close()


def when_back(pipeline: Pipeline, picture: ImageInput) -> ImageResult:
    """What is recognised once the connection stands again, which gRPC tries every second."""
    deadline = time.monotonic() + RECOVERY_S
    while True:
        try:
            return pipeline.process(picture)
        except LunaError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
