"""Descriptors of a version that garbage collection deletes."""

from typing import Any

import pytest

from apps.accounts.models import Account, AuditRecord
from apps.common.descriptors import Descriptor, versions
from apps.common.errors import LunaError
from apps.common.scope import Scope
from apps.descriptors import versions as described
from apps.events.models import Event, EventDescriptor
from apps.faces.models import Face, FaceDescriptor
from apps.faces.types import AttributeData
from apps.tasks.types import gc
from apps.tasks.types.gc import TYPE
from tests.factories import make_account, make_event, make_version
from tests.tasks_run import Outcome, Places, run_task, runs_killed
from tests.unit.tasks.archive_tasks import sample
from tests.unit.tasks.gc.objects import VECTOR, collect, make_face

pytestmark = pytest.mark.django_db


def described_objects(account: Account) -> None:
    make_version(7, 4)
    make_version(8, 4)
    make_version(9, 4, kind="body")
    for numbers in ((7, 8), (7,), (8,)):
        descriptors = tuple(Descriptor(number, VECTOR, 1.0) for number in numbers)
        make_face(account, attribute=AttributeData(descriptors=descriptors, descriptor_samples=(sample(account),)))
        make_event(account, *descriptors, Descriptor(9, VECTOR, 1.0))


def descriptors_left() -> tuple[dict[int, int], dict[int, int]]:
    counts = []
    for model in (FaceDescriptor, EventDescriptor):
        found = [*model.objects.values_list("version", flat=True)]
        counts.append({number: found.count(number) for number in sorted({*found})})
    return counts[0], counts[1]


@pytest.mark.parametrize(
    ("content", "removed", "left"),
    [
        ({"target": "face_descriptors", "options": {"descriptor_version": 7}}, 2, ({8: 2}, {7: 2, 8: 2, 9: 3})),
        (
            {"target": "event_descriptors", "options": {"descriptor_version": 9}, "descriptor_type": "body"},
            3,
            ({7: 2, 8: 2}, {7: 2, 8: 2}),
        ),
        ({"target": "descriptors", "options": {"descriptor_version": 7}}, 4, ({8: 2}, {8: 2, 9: 3})),
    ],
)
def test_descriptors_of_a_version_are_deleted(
    account: Account, content: dict[str, Any], removed: int, left: Any
) -> None:
    described_objects(account)
    outcome = collect(None, **content)
    assert outcome.result == {"removed": removed}
    assert descriptors_left() == left
    kinds = {"face_descriptor", "event_descriptor"} if content["target"] == "descriptors" else {content["target"][:-1]}
    lines = AuditRecord.objects.filter(object_type__in=("face_descriptor", "event_descriptor"), action="delete")
    assert set(lines.values_list("object_type", "object_id")) == {
        (kind, f"version {content['options']['descriptor_version']}") for kind in kinds
    }
    assert Face.objects.unscoped().count() == Event.objects.unscoped().count() == 3


def test_descriptors_of_one_account_only(account: Account) -> None:
    described_objects(account)
    described_objects(make_account())
    content = {"target": "descriptors", "options": {"descriptor_version": 7}}
    collect(None, **content, filters={"account_id": str(account.account_id)})
    assert descriptors_left()[0] == {7: 2, 8: 4}


def test_a_killed_worker_counts_each_descriptor_once(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "PAGE", 1)
    monkeypatch.setattr(gc, "SUBTASK_OBJECTS", 1)

    def run(places: Places) -> Outcome:
        described_objects(account)
        content = {"target": "descriptors", "options": {"descriptor_version": 7}}
        return run_task(TYPE, content, scope=Scope(None), places=places)

    for _, outcome in runs_killed(run, checks_too=True, step=2):
        assert outcome.result == {"removed": 4}


def test_the_default_version_is_never_deleted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    described_objects(account)
    default = versions.default("face").version
    with pytest.raises(LunaError) as raised:
        collect(None, target="face_descriptors", options={"descriptor_version": default})
    assert raised.value.code == 12027
    process = TYPE.process

    def selected(run: Any) -> Any:  # the version becomes the default while the task runs
        monkeypatch.setattr(described, "is_default", lambda number: number == 7)
        return process(run)

    monkeypatch.setattr(TYPE, "process", selected)
    with pytest.raises(LunaError) as raised:
        collect(None, target="face_descriptors", options={"descriptor_version": 7})
    assert raised.value.code == 12027
    assert descriptors_left()[0] == {7: 2, 8: 2}


def test_accounts_do_not_delete_descriptors(account: Account) -> None:
    described_objects(account)
    for target in ("face_descriptors", "event_descriptors", "descriptors"):
        content = {"target": target, "options": {"descriptor_version": 7}, "descriptor_type": "face"}
        with pytest.raises(LunaError) as raised:
            collect(account, **content)
        assert raised.value.code == 12027
