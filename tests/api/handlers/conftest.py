"""Fixtures: real photographs, real networks, stored objects of one account, and a second descriptor version."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.test import Client

from apps.accounts.models import Account
from apps.common.descriptors import Calibration, DescriptorVersion, versions
from apps.recognition.run import facade
from tests.api.handlers.helpers import JPEG, astronaut
from tests.api.handlers.second_version import ALIGNMENT, BODY, OTHER_BODY, POINTS, SECOND
from tests.api.handlers.webhooks import Hook, Received
from tests.factories import client_of
from tests.unit.recognition.graphs import channel_means, directory_with_embedded, engine_of, install


@pytest.fixture
def client(account: Account) -> Client:
    return client_of(account)


class Photographs(BaseHTTPRequestHandler):
    """The astronaut, and a text."""

    def do_GET(self) -> None:
        is_text = self.path.endswith(".txt")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain" if is_text else JPEG)
        self.end_headers()
        self.wfile.write(b"text" if is_text else astronaut())

    def log_message(self, *args: object) -> None:
        """Silent."""


@pytest.fixture
def live_photograph() -> Iterator[str]:
    """The URL of a photograph on a server of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Photographs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/astronaut"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Received]]]:
    received: list[Received] = []
    handler = type("ThisHook", (Hook,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded networks, and by their side one of faces and two of bodies that tell mean colours."""
    found = directory_with_embedded(tmp_path_factory.mktemp("networks"))
    for number, task, size in ((SECOND, "face_descriptor", 32), (BODY, "body_descriptor", 64),
                               (OTHER_BODY, "body_descriptor", 48)):  # fmt: skip
        install(
            found, channel_means(size=size).model(), name=f"tiny-{number}", task=task, use=number == BODY,
            outputs=[{"name": "values", "shape": [3]}],
            entry={"shape": [3, size, size], "layout": "NCHW", "colour": "RGB", "mean": [100.0], "std": [255.0]},
            descriptor={
                "version": number, "dimension": 3, "raw_encoding": "float32-le", "match_cosine": 0.9,
                "possible_cosine": 0.8, "calibration": POINTS, "calibrated_on": "nothing",
                **({"alignment": ALIGNMENT} if task == "face_descriptor" else {}),
            },
        )  # fmt: skip
    return found


@pytest.fixture
def second(two_versions: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both versions are known, the first one is the default."""
    engine = engine_of(two_versions)
    monkeypatch.setattr(facade._engine, "value", engine)
    calibration = Calibration(tuple((cosine, similarity) for cosine, similarity in POINTS))
    for number, kind in ((SECOND, "face"), (BODY, "body"), (OTHER_BODY, "body")):
        versions.register(DescriptorVersion(number, kind, f"tiny-{number}", 3, "float32-le", calibration))  # type: ignore[arg-type]
    yield
    engine.close()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes a version the default, as `networks use` and a start do."""

    def chosen(number: int) -> None:
        monkeypatch.setitem(versions._defaults, "face", number)
        engine = facade.engine()
        tasks = {**engine.tasks, "face_descriptor": engine.descriptor_networks()[number]}
        monkeypatch.setattr(engine, "_tasks", tasks)

    return chosen
