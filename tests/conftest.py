"""Every test runs against real PostgreSQL and Redis of LUNA_VAR_DIR (default var/test), started here."""

import gc
import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
import redis
from django.core.cache import caches

from apps.accounts.config import Logins
from apps.common.config import Directories, Services, config, override_config
from apps.common.descriptors import versions
from apps.monitoring import health
from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry
from luna.embedded import services
from luna.embedded.addresses import var_dir
from luna.embedded.processes import EmbeddedError
from tests.scheduling import Scheduling, sort_items
from tests.storages import options, s3_server, use_storage

if TYPE_CHECKING:
    from tests.traces import Exported

# Threads of numeric libraries stall one another on few cores; the engine sets its own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_started: list[bool] = []

UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


PLUGIN_SUITE = Path(__file__).parent / "conformance" / "matching_plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--luna-matching-plugin", help="Test only this matching plugin.")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if config.getoption("--luna-matching-plugin") and collection_path.is_file():
        return True if PLUGIN_SUITE not in collection_path.parents else None
    return None


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name parameters alike in all processes of pytest-xdist: random UUIDs and long bytes (packed, pictures) differ."""
    if isinstance(val, bytes):
        return argname if len(val) > 24 else None
    text = str(val) if isinstance(val, UUID | str) else ""
    return UUIDS.sub("uuid", text) if UUIDS.search(text) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()  # 9,000 tests and all modules: no collection walks them again
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        sort_items(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # by the number of tests, the slowest files would be last
    return Scheduling(config, log)


def _build_networks() -> None:
    """Build those embedded networks that are missing, as after a change of the manifests."""
    registry = Registry(config(Directories).networks)
    for name in registry.embedded():
        build_network(registry.manifest(name), directory=registry.directory, cache=config(Directories).cache)


def pytest_configure() -> None:
    var = config(Directories).var
    if var_dir() != var:  # Redis is emptied below: never that of a platform in use
        pytest.exit(f"The settings are those of {var}, the tests' services of {var_dir()}.", returncode=1)
    try:
        _build_networks()
    except NetworkError as error:
        pytest.exit(f"{error} (`make networks` builds the networks)", returncode=1)
    try:
        if services.start(var_dir()):
            _started.append(True)
    except EmbeddedError as error:
        pytest.exit(str(error), returncode=1)


def pytest_unconfigure() -> None:
    if _started:
        services.stop(var_dir())


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Replace settings until the test ends: `configure(Paging, max_page_size=5)`."""
    with ExitStack() as stack:
        yield lambda group, **values: stack.enter_context(override_config(group, **values))


@pytest.fixture
def account_header(configure: Callable[..., None]) -> None:
    """`Luna-Account-Id` identifies accounts."""
    configure(Logins, allow_luna_account_auth_header=True)


@pytest.fixture(scope="session")
def redis_client() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(config(Services).redis_url.get_secret_value()) as client:
        yield client


@pytest.fixture(autouse=True)
def _empty_caches(redis_client: redis.Redis) -> None:
    """No key of one test is seen by the next."""
    redis_client.flushdb()
    caches["process"].clear()
    health.checks.forget()


@pytest.fixture(autouse=True)
def _own_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptor versions that a test registers end with it."""
    monkeypatch.setattr(versions, "_versions", dict(versions._versions))
    monkeypatch.setattr(versions, "_defaults", dict(versions._defaults))


@pytest.fixture
def exported() -> "Iterator[Exported]":
    """Traces are on, and spans are kept for the test."""
    from tests.traces import exporting  # other tests need no OpenTelemetry

    with exporting() as exporter:
        yield exporter


@pytest.fixture
def kept() -> Iterator[None]:
    """The handlers of the root logger after a test are those before it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def store_dir(tmp_path: Path, settings: object) -> Path:
    """A folder of its own for every test."""
    use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, settings: object) -> str:
    """The test runs twice: on disk, and against a server that speaks S3."""
    if request.param == "s3":
        address = request.getfixturevalue("s3_address")
        use_storage(settings, "apps.imagestore.s3.S3Store", **options(address, uuid4().hex))
    else:
        use_storage(settings, "apps.imagestore.storage.DiskStorage", location=str(tmp_path / "store"))
    return str(request.param)
