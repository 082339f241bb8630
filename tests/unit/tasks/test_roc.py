"""ROC tasks: markup, errors, resumption, and the picture of a result. The mathematics: tests/unit/matching/test_roc."""

import itertools
from typing import Any
from uuid import UUID, uuid4
from xml.etree import ElementTree

import numpy as np
import pytest

from apps.accounts.models import Account
from apps.common.config import AdditionalServices, PlatformLimits, override_config
from apps.common.config.platform import CrossMatchLimits
from apps.common.descriptors import Descriptor, DescriptorVersion, versions
from apps.common.errors import LunaError
from apps.common.redis_client import client
from apps.common.scope import Scope
from apps.faces.attributes import KEY, attribute_create
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData
from apps.matching.engine import roc as engine
from apps.matching.engine.roc import Curve, PairCounts, codes_of
from apps.tasks.admin.roc import roc_svg
from apps.tasks.types import roc
from apps.tasks.types.base import StageCancelled
from apps.tasks.types.roc import TYPE
from tests.factories import make_account, make_event, make_version, unit_vectors
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.contents import check_contents

DIMENSION, NUMBER = 8, 9741
LABELS = ["a", "b", 1, "a", "b", 1, "1", 2.5, "a"]
VECTORS = unit_vectors(9, DIMENSION)


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    face = make_version(NUMBER, DIMENSION)
    monkeypatch.setattr(versions, "_defaults", {"face": face.version})
    return face


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def objects(account: Account) -> list[dict[str, str]]:
    """Three faces, three events and three attributes, by their ids."""
    faces = Face.objects.bulk_create([Face(account=account) for _ in range(3)])
    FaceDescriptor.objects.bulk_create(
        FaceDescriptor(face=face, version=NUMBER, vector=vector) for face, vector in zip(faces, VECTORS, strict=False)
    )
    events = [make_event(account, Descriptor(NUMBER, vector)) for vector in VECTORS[3:6]]
    attributes = [
        attribute_create(account_id=account.account_id, data=AttributeData((Descriptor(NUMBER, vector),)))
        for vector in VECTORS[6:]
    ]
    return [
        *({"face_id": str(each.face_id)} for each in faces),
        *({"event_id": str(each.event_id)} for each in events),
        *({"attribute_id": str(each.attribute_id)} for each in attributes),
    ]


def markup(account: Account) -> list[dict[str, Any]]:
    return [{**each, "label": label} for each, label in zip(objects(account), LABELS, strict=True)]


def run(account: Account | None, marked: Any, places: Places | None = None, **more: Any) -> Outcome:
    scope = Scope(account.account_id if account else None)
    return run_task(TYPE, {"markup": marked, **more}, scope=scope, places=places)


def failure(*arguments: Any, **more: Any) -> LunaError:
    with pytest.raises(LunaError) as caught:
        run(*arguments, **more)
    return caught.value


def test_result(account: Account, version: DescriptorVersion) -> None:
    marked = markup(account)
    shuffled = [marked[at] for at in np.random.default_rng(0).permutation(9)]
    outcome = run(account, shuffled, key_FPRs=[0.1, 0.5], limit=3)
    counts = PairCounts.empty(3)
    counts.add(VECTORS.astype(np.float64), codes_of(LABELS), range(9), version.calibration, 0.0)
    curve = Curve.of(counts)
    assert curve is not None
    result = outcome.result
    facts = {name: result[name] for name in ("descriptor_version", "objects", "positive_pairs", "negative_pairs")}
    assert facts == {"descriptor_version": NUMBER, "objects": 9, "positive_pairs": 5, "negative_pairs": 31}
    assert result["auc"] == pytest.approx(curve.auc, abs=1e-12)
    assert result["equal_errors"].keys() == {"threshold", "fpr", "tpr"}
    assert [each["key_fpr"] for each in result["key_points"]] == [0.1, 0.5]
    assert all(each["fpr"] <= each["key_fpr"] for each in result["key_points"])
    assert [each["top"] for each in result["hit_top"]] == [1, 2, 3]
    assert [each["probability"] for each in result["hit_top"]] == counts.hit_probabilities()
    assert result["roc"][0] == {"threshold": None, "fpr": 0, "tpr": 0}
    assert (len(result["roc"]), len(outcome.parts), outcome.errors) == (len(curve.steps), 1, [])
    assert len(run(account, marked).result["hit_top"]) == 5


def test_objects_that_cannot_be_compared_are_errors(account: Account) -> None:
    marked = markup(account)
    bare, missing, foreign = Face.objects.create(account=account), uuid4(), markup(make_account())[0]
    wrong = [{"face_id": str(bare.face_id), "label": "a"}, {"event_id": str(missing), "label": "a"}, foreign]
    outcome = run(account, [*wrong, *marked])
    assert outcome.result == run(account, marked).result
    assert [(each.code, each.info) for each in outcome.errors] == [
        (28024, str(bare.face_id)),
        (28023, foreign["face_id"]),
        (28023, str(missing)),
    ]
    error = failure(account, wrong)
    assert (error.code, error.status) == (28022, 404)


@pytest.mark.parametrize("labels", [[0] * 9, list(range(9))])
def test_what_is_unknown_is_null(account: Account, labels: list[int]) -> None:
    marked = [{**each, "label": label} for each, label in zip(objects(account), labels, strict=True)]
    result = run(account, marked, key_FPRs=[0.1]).result
    assert all(result[name] is None for name in ("auc", "equal_errors", "key_points", "roc"))
    assert (result["hit_top"] is None) == (labels[0] != labels[1])
    assert roc_svg(result) == ""


def test_limits_accounts_and_events_that_are_off(account: Account) -> None:
    marked = markup(account)
    limits = CrossMatchLimits(array_filter_limit=8, result_candidate_limit=2)
    with override_config(PlatformLimits, cross_match=limits):
        assert failure(account, marked).code == failure(account, marked[:3], limit=3).code == 31007
        assert run(account, marked[:8], limit=2).result["objects"] == 8
    foreign = str(make_account().account_id)
    assert failure(account, marked, account_id=foreign).code == 11069
    assert failure(account, marked, filters={"account_id": foreign}).code == 11069
    own: dict[str, Any] = {"account_id": str(account.account_id), "filters": {"account_id": str(account.account_id)}}
    assert run(account, marked, **own).result == run(None, marked).result
    with override_config(AdditionalServices, luna_events=False):
        assert failure(account, marked).code == 28021
        assert run(account, marked[:3]).result["objects"] == 3


def test_a_killed_worker_leaves_the_same_result(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roc, "CHECKPOINT_S", 0)
    monkeypatch.setattr(engine, "BLOCK_PAIRS", 20)
    monkeypatch.setattr(engine, "STEPS", 1000)
    marked = [*markup(account), {"face_id": str(uuid4()), "label": "a"}]
    right = run(account, marked)
    assert [each["row"] for each in right.checkpoints] == [2, 4, 6, 8, 9]
    killed = 0
    for _, outcome in runs_killed(lambda places: run(account, marked, places), checks_too=True):
        killed += 1
        assert outcome.result == right.result
        assert [each.code for each in outcome.errors] == [28023]
    assert killed > 15
    for at in range(1, right.checks + 1):
        with pytest.raises(StageCancelled):
            run(account, marked, Places(cancel_at=at))


def test_objects_that_change_between_attempts_are_compared_anew(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roc, "CHECKPOINT_S", 0)
    monkeypatch.setattr(engine, "BLOCK_PAIRS", 20)
    marked = markup(account)

    class Expiring(Places):
        def place(self) -> None:
            if self.passed + 1 == self.kill_at:
                client().delete(KEY.format(UUID(marked[-1]["attribute_id"])))
            super().place()

    outcome = run(account, marked, Expiring(kill_at=4))
    assert outcome.result == run(account, marked[:-1]).result


def test_contents() -> None:
    marked = [{"face_id": str(uuid4()), "label": "a"}, {"event_id": str(uuid4()), "label": 1}]
    common = {"limit": 5, "threshold_hit_top": 0.5, "key_FPRs": [0.1], "account_id": str(uuid4())}
    assert check_contents(TYPE, {"markup": marked, "filters": {"account_id": str(uuid4())}, **common}) > 100


@pytest.mark.parametrize(
    ("marked", "told"),
    [
        ([], "markup"),
        ([{"label": "a"}], "markup.0"),
        ([{"face_id": str(uuid4()), "label": "a\x00"}], "markup.0"),
        ([{"face_id": str(uuid4())}], "markup.0"),
        ([{"face_id": str(uuid4()), "event_id": str(uuid4()), "label": 1}], "markup.0"),
        ([{"face_id": str(uuid4()), "label": 1}, {"face_id": "1", "label": 1}], "markup.1.face_id"),
        ([{"face_id": str(uuid4()), "label": True}], "markup.0.label"),
        ([{"face_id": str(uuid4()), "label": None}], "markup.0.label"),
        ([{"face_id": str(uuid4()), "label": "x" * 257}], "markup.0.label"),
        ([{"face_id": SAME, "label": 1} for SAME in [str(uuid4())]] * 2, None),
        ([{"face_id": "00000000-0000-4000-8000-000000000001", "label": each} for each in (1, 2)], "two labels"),
    ],
)
def test_markup(account: Account, marked: Any, told: str | None) -> None:
    error = failure(account, marked)
    assert error.code == (28022 if told is None else 12027)  # the same object twice is one object
    assert told is None or told in error.detail


def test_picture(account: Account) -> None:
    result = run(account, markup(account), key_FPRs=[0.0, 0.1]).result
    tree = ElementTree.fromstring(roc_svg(result))  # noqa: S314 (our own document)
    (line,) = tree.iter("polyline")
    points = [tuple(map(float, each.split(","))) for each in line.attrib["points"].split()]
    assert (points[0], points[-1]) == ((56, 416), (456, 16))
    assert len(points) == len(result["roc"])
    assert all(one[0] <= other[0] and one[1] >= other[1] for one, other in itertools.pairwise(points))
    marks = ["".join(each.itertext()) for each in tree.iter("circle")]
    assert [each.split(":")[0] for each in marks] == ["equal errors", "FPR at most 0", "FPR at most 0.1"]
    assert f"AUC {result['auc']:.4f}" in "".join(tree.itertext())
