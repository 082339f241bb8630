"""Cross-matching tasks: limits, errors, and results equal to a plain comparison, whatever kills the worker."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from apps.accounts.models import Account
from apps.common.config import AdditionalServices, PlatformLimits, override_config
from apps.common.config.platform import CrossMatchLimits
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.faces.attributes import attribute_create
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData
from apps.matching import cross
from apps.tasks.types import cross_match
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.cross_match import TYPE
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.contents import check_contents

DIMENSION, NUMBER, BODY = 16, 9731, 9732


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    face, body = make_version(NUMBER, DIMENSION), make_version(BODY, DIMENSION, kind="body")
    monkeypatch.setattr(versions, "_defaults", {"face": face.version, "body": body.version})
    return face


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def stored(account: Account, kind: str, vectors: Vector, number: int = NUMBER, **columns: Any) -> list[UUID]:
    if kind == "faces":
        faces = Face.objects.bulk_create([Face(account=account, **columns) for _ in vectors])
        FaceDescriptor.objects.bulk_create(
            FaceDescriptor(face=face, version=number, vector=each) for face, each in zip(faces, vectors, strict=True)
        )
        return [face.face_id for face in faces]
    if kind == "events":
        return [make_event(account, Descriptor(number, each), **columns).event_id for each in vectors]
    data = [AttributeData((Descriptor(number, each),)) for each in vectors]
    return [attribute_create(account_id=account.account_id, data=each).attribute_id for each in data]


def named(kind: str, ids: Sequence[UUID]) -> dict[str, Any]:
    return {"origin": kind, f"{kind[:-1]}_ids": [str(each) for each in ids]}


def run(
    account: Account | None, references: Any, candidates: Any, places: Places | None = None, **more: Any
) -> Outcome:
    filters = {"reference_filters": references, "candidate_filters": candidates}
    scope = Scope(account.account_id if account else None)
    return run_task(TYPE, {"filters": filters, **more}, scope=scope, places=places)


def failure(*arguments: Any, **more: Any) -> LunaError:
    with pytest.raises(LunaError) as caught:
        run(*arguments, **more)
    return caught.value


def expected(
    references: tuple[Sequence[UUID], Vector], candidates: tuple[Sequence[UUID], Vector], limit: int, threshold: float
) -> list[dict[str, Any]]:
    similarity = versions.get(NUMBER).calibration.similarity
    found = []
    for reference_id, vector in zip(*references, strict=True):
        cosines = candidates[1].astype(np.float64) @ vector.astype(np.float64)
        ranked = [(str(candidates[0][at]), similarity(cosines[at])) for at in np.argsort(-cosines, kind="stable")]
        kept = [{"candidate_id": each, "similarity": value} for each, value in ranked[:limit] if value >= threshold]
        if kept:
            found.append({"reference_id": str(reference_id), "candidates": kept})
    return found


def check(result: Any, wanted: list[dict[str, Any]]) -> None:
    assert [each["reference_id"] for each in result] == [each["reference_id"] for each in wanted]
    for each, right in zip(result, wanted, strict=True):
        found, best = each["candidates"], right["candidates"]
        assert [one["candidate_id"] for one in found] == [one["candidate_id"] for one in best]
        similarities = [one["similarity"] for one in best]
        assert [one["similarity"] for one in found] == pytest.approx(similarities, abs=1e-6)


@pytest.mark.parametrize("candidates", ["faces", "events", "attributes"])
@pytest.mark.parametrize("references", ["faces", "events", "attributes"])
def test_every_kind_with_every_kind(account: Account, references: str, candidates: str) -> None:
    vectors = unit_vectors(16, DIMENSION)
    asked, given = stored(account, references, vectors[:4]), stored(account, candidates, vectors[4:])
    for limit, threshold in ((3, 0.0), (100, 0.4)):
        outcome = run(account, named(references, asked), [named(candidates, given)], limit=limit, threshold=threshold)
        check(outcome.result, expected((asked, vectors[:4]), (given, vectors[4:]), limit, threshold))
        assert (outcome.errors, len(outcome.parts)) == ([], 1)


def test_defaults_filters_and_accounts(account: Account) -> None:
    vectors = unit_vectors(12, DIMENSION)
    stored(make_account(), "faces", vectors, user_data="staff")
    staff = stored(account, "faces", vectors[:5], user_data="staff")
    stored(account, "faces", vectors[5:], user_data="guest")
    own: dict[str, Any] = {"account_id": str(account.account_id)}
    outcome = run(account, {"user_data": "staff", **own}, {"user_data": "staff"}, **own)
    check(outcome.result, expected((staff, vectors[:5]), (staff, vectors[:5]), 3, 0.0))
    everybody = run(None, {"user_data": "staff"}, {"user_data": "staff"}, limit=10)
    assert len(everybody.result) == 17
    one = run(None, {"user_data": "staff", **own}, {"user_data": "staff"}, limit=100)
    assert (len(one.result), len(one.result[0]["candidates"])) == (5, 17)


def test_an_object_of_several_filters_counts_once(account: Account) -> None:
    vectors = unit_vectors(8, DIMENSION)
    faces = stored(account, "faces", vectors[:5], user_data="staff")
    events = stored(account, "events", vectors[5:])
    several = [{"user_data": "staff"}, named("faces", faces[:3]), named("events", events)]
    outcome = run(account, several, several, limit=20)
    check(outcome.result, expected(([*faces, *events], vectors), ([*faces, *events], vectors), 20, 0.0))


def test_bodies(account: Account) -> None:
    vectors = unit_vectors(5, DIMENSION)
    ids = stored(account, "events", vectors, BODY)
    stored(account, "events", vectors)
    outcome = run(account, {"origin": "events"}, {"origin": "events"}, descriptor_type="body", limit=2)
    check(outcome.result, expected((ids, vectors), (ids, vectors), 2, 0.0))
    for references, candidates in (({}, {"origin": "events"}), ({"origin": "events"}, named("attributes", [uuid4()]))):
        error = failure(account, references, candidates, descriptor_type="body")
        assert error.code == 12027
        assert "origin" in error.detail


def test_named_references_that_cannot_be_compared_are_errors_beside_the_result(account: Account) -> None:
    vectors = unit_vectors(3, DIMENSION)
    ids = stored(account, "faces", vectors)
    (foreign,) = stored(make_account(), "faces", vectors[:1])
    bare, missing = Face.objects.create(account=account).face_id, uuid4()
    outcome = run(account, named("faces", [*ids, bare, missing, foreign]), named("faces", ids))
    check(outcome.result, expected((ids, vectors), (ids, vectors), 3, 0.0))
    assert [(each.code, each.info) for each in outcome.errors] == [
        (28024, str(bare)),
        (28023, str(missing)),
        (28023, str(foreign)),
    ]


@pytest.mark.parametrize("kind", ["faces", "events", "attributes"])
def test_empty_sets(account: Account, kind: str) -> None:
    some = named("faces", stored(account, "faces", unit_vectors(1, DIMENSION)))
    none = named(kind, [uuid4()])
    error = failure(account, none, some)
    assert (error.code, error.status) == (28022, 404)
    assert error.detail.startswith("References")
    assert failure(account, some, none).detail.startswith("Candidates")


def test_limits(account: Account) -> None:
    ids = stored(account, "faces", unit_vectors(4, DIMENSION))
    some, three = named("faces", ids), named("faces", ids[:3])
    limits = CrossMatchLimits(
        general_limit=12, result_candidate_limit=5, array_filter_limit=4, short_array_filter_limit=2
    )  # fmt: skip
    with override_config(PlatformLimits, cross_match=limits):
        assert len(run(account, three, some, limit=5).result) == 3
        error = failure(account, some, some)
        assert error.code == 31002
        assert "12" in error.detail
        error = failure(account, three, three, limit=6)
        assert error.code == 31007
        assert "5" in error.detail
        error = failure(account, named("faces", [*ids, uuid4()]), three)
        assert error.code == 12027
        assert "reference_filters.0.face_ids" in error.detail
        error = failure(account, {"origin": "attributes", "attribute_ids": [str(uuid4()) for _ in range(5)]}, three)
        assert error.code == 12027
        assert failure(account, {"origin": "events", "sources": ["a", "b", "c"]}, three).code == 12027
    assert failure(account, three, three, limit=20_001).code == 31007
    assert failure(account, [], three).code == failure(account, [{}] * 31, three).code == 12027


def test_an_unexpected_failure(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise OSError("disk full")

    some = named("faces", stored(account, "faces", unit_vectors(1, DIMENSION)))
    monkeypatch.setattr(cross, "nearest", broken)
    assert failure(account, some, some).code == 31003


def test_accounts_of_others_and_events_that_are_off(account: Account) -> None:
    some = named("faces", stored(account, "faces", unit_vectors(1, DIMENSION)))
    foreign: dict[str, Any] = {"account_id": str(make_account().account_id)}
    assert failure(account, {**some, **foreign}, some).code == 11069
    assert failure(account, some, [some, {**some, **foreign}]).code == 11069
    assert failure(account, some, some, **foreign).code == 11069
    with override_config(AdditionalServices, luna_events=False):
        assert failure(account, some, {"origin": "events"}).code == 28021
        assert run(account, some, some).result != []


def test_a_killed_worker_leaves_the_same_result(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_match, "GROUP_MAX", 3)
    monkeypatch.setattr(cross_match, "SUBTASK_PAIRS", 1)
    monkeypatch.setattr(cross_match, "PIECE_REFERENCES", 2)
    vectors = unit_vectors(8, DIMENSION)
    faces, events = stored(account, "faces", vectors[:5]), stored(account, "events", vectors[5:])
    attributes = stored(account, "attributes", vectors[:4])
    sets = [named("faces", faces), named("events", events), named("attributes", attributes), named("faces", [uuid4()])]
    right = run(account, sets, sets)
    assert [part.parts for part in right.parts] == [3, 2, 3, 3, 1]
    every = [*faces, *events, *attributes], np.concatenate((vectors, vectors[:4]))
    check(right.result, expected(every, every, 3, 0.0))
    killed = 0
    for _, outcome in runs_killed(lambda places: run(account, sets, sets, places), checks_too=True):
        killed += 1
        assert outcome.result == right.result
        assert [each.code for each in outcome.errors] == [28023]
    assert killed > 10
    for at in range(1, right.checks + 1):
        with pytest.raises(StageCancelled):
            run(account, sets, sets, Places(cancel_at=at))


def test_contents() -> None:
    of_faces = {"face_ids": [str(uuid4())], "list_id": str(uuid4()), "create_time__gte": "now-1d"}
    of_events = {"origin": "events", "sources": ["gate"], "age__gte": 18, "account_id": str(uuid4())}
    of_attributes = {"origin": "attributes", "attribute_ids": [str(uuid4())]}
    for one, other in (([of_faces], of_events), (of_attributes, [of_faces, of_events])):
        content = {
            "descriptor_type": "face",
            "filters": {"reference_filters": one, "candidate_filters": other},
            "limit": 3,
            "threshold": 0.5,
            "account_id": str(uuid4()),
        }
        assert check_contents(TYPE, content, ("reference_filters", "candidate_filters")) > 150
