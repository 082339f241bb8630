"""The plugin under test, and the objects that it searches."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import settings

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, versions
from apps.common.plugins.loading import PluginError
from apps.common.scope import Scope
from apps.events.models import Event
from apps.events.services import events_create
from apps.events.types import EventDraft, EventRecord
from apps.faces.attributes import attribute_create
from apps.faces.models import Face
from apps.faces.services import face_create, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.matching.config import DescriptorsCache, MatchingSpeed, MilvusServer
from apps.matching.engine import cached
from apps.matching.plugins.contract import MatchingPlugin, SubRequest
from apps.matching.plugins.fast import Fast
from apps.matching.plugins.list_cache import ListCache
from apps.matching.plugins.loading import BUILT_IN, MATCHING_PLUGINS
from apps.matching.plugins.runner import Runner
from apps.matching.plugins.thin import ThinPlugin
from apps.matching.segments import files
from apps.matching.types import AttributeCandidates, Candidates, EventCandidates, FaceCandidates
from tests.factories import NOON, make_account, make_event, make_version, unit_vectors
from tests.milvus import milvus_close

FACE, BODY, DIMENSION = 9731, 9732, 32
OBJECTS = 90
TEMPLATE = str(Path(settings.BASE_DIR) / "docs" / "matching_plugin_template.py")
NAMES = ("list_cache", "fast", *BUILT_IN)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "plugin" in metafunc.fixturenames:
        given = metafunc.config.getoption("--luna-matching-plugin")
        names = [given] if given else [*NAMES, TEMPLATE]
        metafunc.parametrize("plugin", names, indirect=True, ids=[Path(name).stem for name in names])


def plugin_named(name: str) -> MatchingPlugin:
    """Return a built-in plugin, that of a file, an active name, or of a module that can be imported."""
    if name == "list_cache":
        return ListCache()
    if name == "fast":
        return Fast()
    if name.endswith(".py"):
        return MATCHING_PLUGINS.plugin_of(MATCHING_PLUGINS.module_of(Path(name).resolve()))
    try:
        return MATCHING_PLUGINS.make(name)
    except PluginError:
        return MATCHING_PLUGINS.plugin_of(importlib.import_module(name))


@dataclass(frozen=True)
class World:
    """Objects of two accounts. Each vector belongs to three objects of a kind, so that equal cosines occur."""

    account: Account
    stranger: Account
    vectors: Vector
    faces: Sequence[Face]
    events: Sequence[Event]
    attributes: Sequence[UUID]
    list_id: UUID
    small_list_id: UUID
    foreign_list_id: UUID

    @property
    def scope(self) -> Scope:
        return Scope(self.account.account_id)

    def candidates(self) -> list[tuple[Candidates, int]]:
        """Return candidates of all kinds, with the version to compare."""
        faces: list[dict[str, object]] = [
            {},
            {"list_id": self.list_id},
            {"list_id": self.small_list_id},
            {"list_id": self.foreign_list_id},
            {"list_id": uuid4()},
            {"list_id": self.list_id, "user_data": "even"},
            {"list_id": self.list_id, "face_ids": [face.face_id for face in self.faces[10:20]]},
            {"face_ids": [face.face_id for face in self.faces[::4]]},
            {"user_data": "even"},
        ]
        events: list[dict[str, object]] = [
            {},
            {"event_ids": [event.event_id for event in self.events[::4]]},
            {"sources": ["even"]},
            {"create_time__lt": self.events[0].create_time},
        ]
        return [
            *((FaceCandidates(scope=self.scope, filters=each), FACE) for each in faces),
            *(
                (EventCandidates(scope=self.scope, filters=each), version)
                for each in events
                for version in (FACE, BODY)
            ),
            (FaceCandidates(scope=Scope(None), filters={"list_id": self.list_id}), FACE),
            (AttributeCandidates(scope=self.scope, attribute_ids=tuple(self.attributes)), FACE),
        ]

    def requests(self, runner: Runner, vectors: Vector, limit: int, threshold: float) -> list[SubRequest]:
        """Return the sub-requests of all candidates that the plugin serves."""
        asked = [
            SubRequest(candidates, versions.get(version), list(vectors), limit, threshold)
            for candidates, version in self.candidates()
        ]
        return [request for request in asked if runner.cost(request.of([vectors[0]])) < 100]


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    found = make_version(FACE, DIMENSION)
    make_version(BODY, DIMENSION, kind="body")
    monkeypatch.setitem(versions._defaults, "face", FACE)
    monkeypatch.setitem(versions._defaults, "body", BODY)
    return found


@pytest.fixture
def world(
    transactional_db: None, tmp_path: Path, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    configure(DescriptorsCache, smallest_list=1, updating_cache_interval=3600)
    configure(MatchingSpeed, fast_from=1, default_speed="fast")
    configure(MilvusServer, uri=str(tmp_path / "milvus.db"), smallest_list=1)
    monkeypatch.setattr(files, "DIRECTORY", str(tmp_path / "segments"))
    cached.service.close()
    account, stranger = make_account(), make_account()
    vectors = unit_vectors(OBJECTS, DIMENSION)
    vectors[30:60] = vectors[:30]
    vectors[60:] = vectors[:30]
    row, small, foreign = (list_create(account_id=each.account_id) for each in (account, account, stranger))
    faces = []
    for place, vector in enumerate(vectors):
        attribute = AttributeData((Descriptor(FACE, vector),))
        lists = [row.list_id, small.list_id] if place < 7 else [row.list_id]
        draft = FaceDraft(attribute=attribute, lists=lists, user_data="odd" if place % 2 else "even")
        faces.append(face_create(account_id=account.account_id, draft=draft))
        if place < 20:
            hidden = FaceDraft(attribute=attribute, lists=[foreign.list_id])
            face_create(account_id=stranger.account_id, draft=hidden)
    records = [
        EventRecord(
            EventDraft(create_time=NOON, source="odd" if place % 2 else "even"),
            (Descriptor(FACE, vector), Descriptor(BODY, -vector)),
        )
        for place, vector in enumerate(vectors)
    ]
    events_create(account_id=account.account_id, records=records)  # at once: one by one takes half of the time
    events = list(Event.objects.for_account(account.account_id).order_by("pk"))
    make_event(stranger, Descriptor(FACE, vectors[0]))
    attributes = [
        attribute_create(account_id=account.account_id, data=AttributeData((Descriptor(FACE, vector),))).attribute_id
        for vector in vectors
    ]
    yield World(account, stranger, vectors, faces, events, attributes, row.list_id, small.list_id, foreign.list_id)
    cached.service.close()
    milvus_close()


@pytest.fixture
def plugin(request: pytest.FixtureRequest, world: World) -> Iterator[Runner]:
    """The plugin, started after the objects were stored."""
    plugin = plugin_named(request.param)
    if isinstance(plugin, ThinPlugin):  # it starts only if its table is built
        plugin.refresh()
    runner = Runner(Path(request.param).stem, plugin)
    assert runner.ready(timeout_s=60), "`initialize` failed or takes more than 60 s"
    runner.plugin.refresh()
    yield runner
    runner.close()
    if isinstance(plugin, ThinPlugin):
        plugin.table.drop()
