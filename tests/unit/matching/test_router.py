"""The router with plugins that work, fail, are slow, lie or break the contract: the answers are the database's."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import override_config
from apps.common.descriptors import Descriptor, Vector, versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.events.models import Event
from apps.faces.models import Face
from apps.faces.services import face_create, face_delete
from apps.faces.types import AttributeData, FaceDraft
from apps.matching import matcher
from apps.matching.config import MatcherProxy
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.matrix import nearest
from apps.matching.plugins import runner
from apps.matching.plugins.contract import Hit, MatchingPlugin, SubRequest
from apps.matching.plugins.router import Plugins, Router
from apps.matching.plugins.runner import Runner
from apps.matching.types import Block, Candidates, EventCandidates, FaceCandidates, Probe
from tests.factories import client_of, make_account, make_event, make_version, unit_vectors

pytestmark = pytest.mark.django_db
VERSION, DIMENSION, OBJECTS = 9741, 24, 40


class Memory(MatchingPlugin):
    """Serves all faces or events of one account from memory, exactly."""

    targets = frozenset({"face_id", "event_id"})

    def __init__(self, cost: object = 10.0) -> None:
        self.its_cost = cost
        self.asked: list[SubRequest] = []
        self.of: dict[str, list[UUID]] = {"faces": [], "events": []}
        self.vectors = np.empty((0, DIMENSION), np.float32)

    def cost(self, request: SubRequest) -> float:
        return math.inf if request.filters else self.its_cost  # type: ignore[return-value]

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        self.asked.append(request)
        ids = self.of[request.origin]
        found = nearest(np.stack(request.vectors), [self.vectors], limit=request.limit, threshold=request.threshold)
        return [
            [Hit(ids[place], cosine) for place, cosine in zip(places.tolist(), cosines.tolist(), strict=True)]
            for places, cosines in found
        ]


class Failing(Memory):
    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        raise RuntimeError("its server is away")


class Slow(Memory):
    done = threading.Event()

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        self.done.wait(60)
        return super().search(request)


class Higher(Memory):
    """Returns other cosines than those of the descriptors."""

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        return [[Hit(key, min(1.0, cosine + 0.01)) for key, cosine in hits] for hits in super().search(request)]


class Inventing(Memory):
    """Returns objects that do not exist."""

    def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
        return [[Hit(uuid4(), cosine) for _, cosine in hits] for hits in super().search(request)]


class Unsure(Memory):
    """Has no cost."""

    def cost(self, request: SubRequest) -> float:
        raise KeyError("cost")


class Nameless(Memory):
    """Does not have the ids of its objects."""

    targets = frozenset({"user_data", "similarity"})


KINDS = (Memory, Failing, Slow, Higher, Inventing, Unsure, Nameless)
COSTS = (0, 1.5, 50, 99.9, 100, 101, math.inf)


class World:
    def __init__(self) -> None:
        self.account: Account = make_account()
        self.vectors: Vector = unit_vectors(OBJECTS, DIMENSION)
        self.vectors[20:30] = self.vectors[:10]
        described = [Descriptor(VERSION, vector) for vector in self.vectors]
        self.faces: list[Face] = [
            face_create(account_id=self.account.account_id, draft=FaceDraft(attribute=AttributeData((each,))))
            for each in described
        ]
        self.events: list[Event] = [make_event(self.account, each) for each in described]
        foreign = FaceDraft(attribute=AttributeData((described[0],)))
        self.foreign = face_create(account_id=make_account().account_id, draft=foreign)

    def candidates(self, kind: type[FaceCandidates] | type[EventCandidates] = FaceCandidates) -> Candidates:
        return kind(scope=Scope(self.account.account_id))

    def runner(self, plugin: Memory, name: str = "p") -> Runner:
        plugin.of = {
            "faces": [face.face_id for face in self.faces],
            "events": [event.event_id for event in self.events],
        }
        plugin.vectors = self.vectors
        made = Runner(name, plugin)
        if not isinstance(plugin, Nameless):
            assert made.ready(timeout_s=60)
        return made


@pytest.fixture
def world(configure: Callable[..., None]) -> Iterator[World]:
    make_version(VERSION, DIMENSION)
    configure(MatcherProxy, search_timeout=30)
    Slow.done.clear()
    yield World()
    Slow.done.set()


def check(
    runners: Sequence[Runner], candidates: Candidates, vectors: Vector, limit: int = 5, threshold: float = -1.0
) -> None:
    arguments = (candidates, versions.get(VERSION), list(vectors), limit, threshold)
    assert Router(runners=lambda: runners).search(*arguments) == DatabaseMatcher().search(*arguments)


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 1.5, 50, 99.9, 100, 101, math.inf])), max_size=4
    ),
    origin=st.sampled_from([FaceCandidates, EventCandidates]),
    limit=st.sampled_from([1, 3, 11, 100]),
    threshold=st.sampled_from([-1.0, 0.1, 0.5, 1.0]),
    count=st.integers(1, 4),
    known=st.booleans(),
)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_plugins_equals_the_database(
    world: World,
    kinds: list[tuple[type[Memory], float]],
    origin: type[FaceCandidates] | type[EventCandidates],
    limit: int,
    threshold: float,
    count: int,
    known: bool,
) -> None:
    runners = [world.runner(kind(cost), f"p{at}") for at, (kind, cost) in enumerate(kinds)]
    vectors = world.vectors[:count] if known else unit_vectors(count, DIMENSION, seed=3)
    with override_config(MatcherProxy, search_timeout=0.05):
        check(runners, world.candidates(origin), vectors, limit, threshold)
    for each in runners:
        each.close()


@pytest.mark.parametrize(
    ("costs", "served"),
    [((100.0,), None), ((100.5, 99.9), 1), ((20, 10.0, 10.0), 1), ((math.inf,), None), ((-5.0, 3.0), 0), ((), None)],
)
def test_the_lowest_cost_below_the_database_wins(world: World, costs: Sequence[float], served: int | None) -> None:
    plugins = [Memory(cost) for cost in costs]
    check([world.runner(plugin) for plugin in plugins], world.candidates(), unit_vectors(2, DIMENSION, 3))
    assert [at for at, plugin in enumerate(plugins) if plugin.asked] == ([] if served is None else [served])


def test_each_reference_is_routed_alone_and_those_of_a_plugin_are_searched_together(world: World) -> None:
    class Half(Memory):
        def cost(self, request: SubRequest) -> float:
            (vector,) = request.vectors
            return 1.0 if vector[0] > 0 else math.inf

    plugin = Half()
    vectors = unit_vectors(12, DIMENSION, 3)
    mine = int((vectors[:, 0] > 0).sum())
    assert 0 < mine < 12
    check([world.runner(plugin)], world.candidates(), vectors)
    assert [len(request.vectors) for request in plugin.asked] == [mine]


@pytest.mark.parametrize(
    ("kind", "counter"),
    [(Memory, "answered"), (Failing, "failed"), (Slow, "failed"), (Higher, "disagreed"), (Inventing, "disagreed")],
)
def test_failures_are_counted_and_logged(
    world: World, kind: type[Memory], counter: str, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    if kind is Slow:
        configure(MatcherProxy, search_timeout=0.05)
    one = world.runner(kind(), "mine")
    check([one], world.candidates(), unit_vectors(2, DIMENSION, 3))
    assert one.answers == {counter: 2}
    status = one.status()
    assert (status["ready"], status[counter]) == (True, 2)
    assert counter == "answered" or "mine" in caplog.text


def test_a_plugin_that_keeps_failing_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Slow()
    one = world.runner(plugin)
    with override_config(MatcherProxy, search_timeout=0.05):
        for _ in range(runner.FAILURES + 20):
            check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert one.answers == {"failed": runner.FAILURES, "skipped": 20}
    assert plugin.asked == [], "no search waited for the plugin"
    Slow.done.set()
    monkeypatch.setattr(one.breaker, "_closed_until", 0.0)
    check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert one.answers["answered"] == 1


def test_a_plugin_that_keeps_disagreeing_is_left_alone(world: World) -> None:
    one = world.runner(Higher())
    for _ in range(runner.FAILURES + 5):
        check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert one.answers == {"disagreed": runner.FAILURES, "skipped": 5}


@pytest.mark.parametrize("error", [DatabaseError, LunaError(errors.FACE_NOT_FOUND, "x"), TimeoutError, SystemError])
def test_no_error_of_a_plugin_reaches_the_client(world: World, error: Exception) -> None:
    class Raising(Memory):
        def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
            raise error

    one = world.runner(Raising())
    check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert one.answers == {"failed": 1}


def test_errors_of_the_database_are_not_the_plugins(world: World) -> None:
    class Away(DatabaseMatcher):
        def search(self, *arguments: object) -> list[list[Hit]]:
            raise DatabaseError("away")

    one = world.runner(Memory())
    arguments = (world.candidates(), versions.get(VERSION), [world.vectors[0]], 3, -1.0)
    for _ in range(runner.FAILURES + 1):
        with pytest.raises(DatabaseError):
            Router(Away(), lambda: [one]).search(*arguments)
    assert not one.breaker.is_open


def test_a_plugin_without_the_id_is_not_used(world: World) -> None:
    plugin = Nameless()
    one = world.runner(plugin)
    check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert not plugin.asked


def test_many_equal_descriptors_are_left_to_the_database(world: World) -> None:
    world.vectors[:] = world.vectors[0]
    for face in world.faces:
        face.descriptors.update(vector=world.vectors[0])
    one = world.runner(Memory())
    check([one], world.candidates(), world.vectors[:1], limit=5)
    assert one.answers == {"unproven": 1}


def test_objects_that_were_deleted_since_are_no_hits(world: World) -> None:
    one = world.runner(Memory())
    face_delete(account_id=world.account.account_id, face_id=world.faces[0].face_id)
    check([one], world.candidates(), world.vectors[:1], limit=3)
    assert one.answers == {"disagreed": 1}


def test_objects_of_another_account_are_no_hits(world: World) -> None:
    plugin = Memory()
    one = world.runner(plugin)
    plugin.of["faces"][0] = world.foreign.face_id
    check([one], world.candidates(), world.vectors[:1], limit=3)
    assert one.answers == {"disagreed": 1}


ID = uuid4()
BREACHES: Sequence[object] = (
    None,
    [],
    [[], []],
    [None],
    [[ID]],
    [[Hit(7, 0.5)]],
    [[Hit(ID, 0.5), Hit(ID, 0.5)]],
    [[Hit(ID, math.nan)]],
    [[Hit(ID, 1.5)]],
    [[Hit(ID, "1")]],  # type: ignore[arg-type]
    [[Hit(ID, 0.3), Hit(uuid4(), 0.5)]],
    [[Hit(ID, -0.9)]],
    [[Hit(uuid4(), 0.5) for _ in range(50)]],
)


@pytest.mark.parametrize("answer", BREACHES, ids=range(len(BREACHES)))
def test_a_broken_contract_is_an_error_with_the_name(world: World, answer: object) -> None:
    class Broken(Memory):
        def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
            return answer  # type: ignore[return-value]

    one = world.runner(Broken(), "mine")
    with pytest.raises(LunaError, match="mine") as raised:
        check([one], world.candidates(), unit_vectors(1, DIMENSION, 3), threshold=-0.5)
    assert raised.value.code == errors.MATCHER_FAILED
    assert one.answers == {"contract_broken": 1}


@pytest.mark.parametrize("cost", [math.nan, None, "10", True])
def test_a_cost_that_is_no_number_breaks_the_contract(world: World, cost: object) -> None:
    with pytest.raises(LunaError, match="mine") as raised:
        check([world.runner(Memory(cost), "mine")], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert raised.value.code == errors.MATCHER_FAILED


def test_a_failed_start_is_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Memory):
        starts = 0

        def initialize(self) -> None:
            self.starts += 1
            if self.starts == 1:
                raise ConnectionError

    plugin = Late()
    one = Runner("late", plugin)
    assert not one.ready(timeout_s=5)
    check([one], world.candidates(), unit_vectors(1, DIMENSION, 3))
    assert plugin.starts == 1
    monkeypatch.setattr(runner, "PAUSE_S", -1.0)
    one.ready(timeout_s=5)
    assert one.ready(timeout_s=5)
    assert plugin.starts == 2


def test_matches_have_the_requested_members(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin returns ids and cosines; hydration reads the targets from the database."""
    plugin = Memory()
    one = world.runner(plugin)
    monkeypatch.setattr(matcher, "MATCHER", Router(runners=lambda: [one]))
    block = Block(world.candidates(), limit=2, targets=frozenset({"create_time", "lists"}))
    ((first, _),) = matcher.match(probes=[Probe("p", "raw", VERSION, world.vectors[15])], block=block)
    assert plugin.asked
    assert (first.object_id, first.similarity) == (world.faces[15].face_id, pytest.approx(1.0, abs=1e-5))
    assert first.face.create_time == world.faces[15].create_time
    assert first.face.external_id is None


def test_the_platform_matches_by_the_router() -> None:
    assert isinstance(matcher.MATCHER, Router)
    built_in = Plugins.loaded().built_in
    assert [each.name for each in built_in] == ["fast", "list_cache"]
    assert built_in[1].ready()


def test_clients_see_a_broken_contract_as_31006_and_no_other_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Memory):
        def search(self, request: SubRequest) -> Sequence[Sequence[Hit]]:
            return []

    monkeypatch.setitem(versions._defaults, "face", VERSION)
    body = {
        "references": [{"type": "face", "id": str(world.faces[3].face_id)}],
        "candidates": [{"filters": {"origin": "faces"}, "limit": 2}],
    }
    client = client_of(world.account)
    answers = []
    for plugin in (Memory(), Failing(), Broken(), Memory(math.inf)):
        one = world.runner(plugin, "mine")
        monkeypatch.setattr(matcher, "MATCHER", Router(runners=lambda one=one: [one]))  # type: ignore[misc]
        answers.append(client.post("/6/matcher/faces", body, content_type="application/json"))
    assert [answer.status_code for answer in answers] == [200, 200, 500, 200]
    assert answers[0].content == answers[1].content == answers[3].content
    assert answers[2].json()["error_code"] == 31006
    assert "mine" in answers[2].json()["detail"]
