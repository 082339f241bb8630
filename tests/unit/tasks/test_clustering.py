"""The task type clustering, against a plain comparison of all pairs."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from apps.accounts.models import Account
from apps.common import errors
from apps.common.config import AdditionalServices
from apps.common.descriptors import Descriptor, DescriptorRegistry, DescriptorVersion, Vector
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.common.validation import checked_data
from apps.faces.models import Face, FaceDescriptor
from apps.matching import clusters, cross
from apps.matching.clusters import groups
from apps.matching.engine import components as engine
from apps.tasks.config import Tasks
from apps.tasks.types import clustering
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.clustering import TYPE, ClusteringContent
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.matching.test_components import expected, people

DIMENSION, FACE_VERSION, BODY_VERSION = 24, 9731, 9732
FACES = {"objects_type": "faces"}
EVENTS = {"objects_type": "events"}


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    """A version of faces is the default one, and one of bodies."""
    monkeypatch.setattr(DescriptorRegistry, "default", lambda self, kind: self.get({"face": 9731, "body": 9732}[kind]))
    make_version(BODY_VERSION, DIMENSION, kind="body")
    return make_version(FACE_VERSION, DIMENSION)


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (engine, clusters):
        monkeypatch.setattr(module, "STRIPE_ROWS", 8)
    for module in (cross, clusters):
        monkeypatch.setattr(module, "PAGE_ROWS", 7)
    monkeypatch.setattr(engine, "TILE_ROWS", 4)
    monkeypatch.setattr(engine, "TILE_COLUMNS", 4)
    monkeypatch.setattr(clustering, "CHECKPOINT_S", 0.0)
    monkeypatch.setattr(clustering, "RESULT_IDS", 3)


def stored_faces(account: Account, vectors: Vector, **columns: Any) -> list[UUID]:
    faces = Face.objects.bulk_create([Face(account=account, **columns) for _ in vectors])
    FaceDescriptor.objects.bulk_create(
        FaceDescriptor(face=face, version=FACE_VERSION, vector=each) for face, each in zip(faces, vectors, strict=True)
    )
    return [face.face_id for face in faces]


def run(account: Account, content: dict[str, Any], places: Places | None = None) -> Outcome:
    return run_task(TYPE, content, scope=Scope(account.account_id), places=places)


def clusters_wanted(ids: list[UUID], labels: list[int]) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for each, label in zip(ids, labels, strict=True):
        found.setdefault(label, []).append(str(each))
    return sorted(found.values(), key=lambda each: -len(each))


@pytest.mark.usefixtures("small_blocks")
def test_clusters_of_faces(account: Account, version: DescriptorVersion) -> None:
    vectors = people(15, 3, DIMENSION, 0.8)
    ids = stored_faces(account, vectors)
    Face.objects.create(account=account)  # without a descriptor
    stored_faces(make_account(), vectors)
    for threshold in (0.0, 0.55, 0.8, 1.0):
        outcome = run(account, {**FACES, "filters": {}, "threshold": threshold})
        wanted = clusters_wanted(ids, expected(vectors, version.calibration.cosine(threshold)))
        assert outcome.result == {
            "clusters": wanted,
            "total_objects": len(ids),
            "total_clusters": len(wanted),
            "threshold": threshold,
            "descriptor_version": FACE_VERSION,
            "false_match_rate": None,
        }
        assert outcome.errors == []
    assert len(outcome.parts) == 1


def test_filters_and_default_threshold(account: Account, configure: Callable[..., None]) -> None:
    wide = unit_vectors(2, DIMENSION)
    vectors = np.stack([wide[0], wide[0], wide[1]])
    ids = stored_faces(account, vectors, user_data="a")
    stored_faces(account, vectors, user_data="b")
    content = {**FACES, "filters": {"user_data": "a"}, "limit": 7}
    outcome = run(account, content)
    assert outcome.result["clusters"] == clusters_wanted(ids, [0, 0, 2])
    assert outcome.result["threshold"] == 0.8
    configure(Tasks, default_clustering_threshold=1.0)
    assert run(account, content).result["clusters"] == clusters_wanted(ids, [0, 1, 2])


def test_one_object_is_a_cluster(account: Account) -> None:
    (face_id,) = stored_faces(account, unit_vectors(1, DIMENSION))
    outcome = run(account, {**FACES, "filters": {}})
    assert (outcome.result["clusters"], outcome.result["total_clusters"]) == ([[str(face_id)]], 1)


@pytest.mark.usefixtures("small_blocks")
def test_events_of_a_track_are_one_person(account: Account, version: DescriptorVersion) -> None:
    vectors = unit_vectors(24, DIMENSION, 3)
    stream, other_stream = uuid4(), uuid4()
    columns: list[dict[str, Any]] = [{} for _ in vectors]
    for at in (1, 9, 17):
        columns[at] = {"track_id": "7", "stream_id": stream}
    for at in (2, 10):
        columns[at] = {"track_id": "7"}
    columns[3] = {"track_id": "7", "stream_id": other_stream}
    ids = [
        make_event(account, Descriptor(FACE_VERSION, each), **of_event).event_id
        for each, of_event in zip(vectors, columns, strict=True)
    ]
    make_event(account, track_id="7", stream_id=stream)  # without a descriptor
    outcome = run(account, {**EVENTS, "filters": {}, "threshold": 1.0})
    labels = list(range(24))
    labels[9] = labels[17] = 1
    labels[10] = 2
    assert outcome.result["clusters"] == clusters_wanted(ids, labels)
    # A track joins what its events resemble.
    threshold = 0.55
    near = expected(vectors, version.calibration.cosine(threshold))
    for one, other in ((1, 9), (1, 17), (2, 10)):
        near = [near[one] if label == near[other] else label for label in near]
    outcome = run(account, {**EVENTS, "filters": {}, "threshold": threshold})
    found = {frozenset(cluster) for cluster in outcome.result["clusters"]}
    assert found == {frozenset(cluster) for cluster in clusters_wanted(ids, near)}


def test_bodies_of_events(account: Account) -> None:
    vector, other = unit_vectors(2, DIMENSION)
    ids = [make_event(account, Descriptor(BODY_VERSION, vector)).event_id for _ in range(2)]
    make_event(account, Descriptor(FACE_VERSION, other))
    outcome = run(account, {**EVENTS, "filters": {}, "descriptor": "body"})
    assert outcome.result["clusters"] == clusters_wanted(ids, [0, 0])
    assert outcome.result["descriptor_version"] == BODY_VERSION


@pytest.mark.usefixtures("small_blocks")
def test_killed_anywhere_gives_the_undisturbed_result(account: Account) -> None:
    vectors = people(10, 3, DIMENSION, 0.8, seed=4)
    stored_faces(account, vectors)
    content = {**FACES, "filters": {}, "threshold": 0.55}
    whole = run(account, content)
    done = [state["done"] for state in whole.checkpoints]
    assert done == list(range(1, 11))  # four stripes
    outcomes = list(runs_killed(lambda places: run(account, content, places)))
    assert len(outcomes) >= 2 * len(done)
    for _, outcome in outcomes:
        assert outcome.result == whole.result
        assert len(outcome.checkpoints) <= len(done) + 1  # finished pairs are not compared again


@pytest.mark.usefixtures("small_blocks")
def test_changed_objects_begin_anew(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """A face that is deleted between two attempts shifts all places."""
    vectors = people(10, 3, DIMENSION, 0.8, seed=5)
    ids = stored_faces(account, vectors)
    attempts = []

    def stored(*args: Any, **kwargs: Any) -> Any:
        attempts.append(args)
        if len(attempts) == 2:
            Face.objects.for_account(account.account_id).filter(face_id=ids[0]).delete()
        return clusters.stored_objects(*args, **kwargs)

    monkeypatch.setattr(clustering, "stored_objects", stored)
    content = {**FACES, "filters": {}, "threshold": 0.55}
    outcome = run(account, content, Places(kill_at=10))
    assert len(attempts) == 2
    monkeypatch.setattr(clustering, "stored_objects", clusters.stored_objects)
    assert outcome.result == run(account, content).result
    assert outcome.result["total_objects"] == len(ids) - 1


@pytest.mark.usefixtures("small_blocks")
def test_cancelled_at_each_check(account: Account) -> None:
    stored_faces(account, people(8, 3, DIMENSION, 0.8, seed=6))
    content = {**FACES, "filters": {}}
    checks = run(account, content).checks
    assert checks > 20
    for at in range(1, checks - 10, 5):
        with pytest.raises(StageCancelled):
            run(account, content, Places(cancel_at=at))


def test_empty_set(account: Account) -> None:
    Face.objects.create(account=account)
    for content in ({**FACES, "filters": {}}, {**EVENTS, "filters": {"event_ids": [str(uuid4())]}}):
        with pytest.raises(LunaError) as caught:
            run(account, content)
        assert caught.value.code == errors.CLUSTERING_OBJECTS_NOT_FOUND


def test_events_that_are_off(account: Account, configure: Callable[..., None]) -> None:
    configure(AdditionalServices, luna_events=False)
    with pytest.raises(LunaError) as caught:
        run(account, {**EVENTS, "filters": {}})
    assert caught.value.code == errors.EVENTS_SOURCE_DISABLED


def test_foreign_account(account: Account) -> None:
    with pytest.raises(LunaError) as caught:
        run(account, {**FACES, "filters": {"account_id": str(uuid4())}})
    assert caught.value.code == errors.FOREIGN_ACCOUNT_ID


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"objects_type": "people"},
        {**FACES, "threshold": 1.5},
        {**FACES, "threshold": "nan"},
        {**FACES, "threshold": [0.5]},
        {**FACES, "limit": 0},
        {**FACES, "descriptor": "body"},
        {**FACES, "descriptor": "hand"},
        {**FACES, "filters": []},
        {**FACES, "filters": {"track_ids": ["7"]}},
        {**EVENTS, "filters": {"list_id": str(uuid4())}},
        {**FACES, "surprise": 1},
    ],
)
def test_bad_contents(content: dict[str, Any]) -> None:
    with pytest.raises(LunaError) as caught:
        checked_data(ClusteringContent, content)
    assert caught.value.code == errors.INVALID_JSON


def test_order_of_groups() -> None:
    labels = np.array([0, 1, 0, 3, 1, 5, 1], np.int32)
    assert [group.tolist() for group in groups(labels)] == [[1, 4, 6], [0, 2], [3], [5]]
    assert list(groups(np.empty(0, np.int32))) == []
