"""The registry, and the template of the documentation: found as a file, created over HTTP, killed anywhere."""

import importlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import clear_url_caches

import apps.tasks.api.urls
import luna.urls.all
import luna.urls.api
from apps.common import errors
from apps.common.config import Directories, config, override_config
from apps.common.scope import Scope
from apps.faces.models import Face
from apps.faces.services import face_create, face_delete, list_create
from apps.faces.types import FaceDraft
from apps.tasks.choices import TaskKind
from apps.tasks.config import UserTaskTypes
from apps.tasks.types import registry
from apps.tasks.types.registry import task_type_named, task_types, types_check
from luna.embedded.addresses import CHECKOUT
from tests.factories import client_of, make_account
from tests.tasks import run_all
from tests.tasks_run import Outcome, Places, run_task, runs_killed

pytestmark = pytest.mark.django_db


def reload() -> None:
    task_types.cache_clear()
    for module in (apps.tasks.api.urls, luna.urls.api, luna.urls.all):
        importlib.reload(module)
    clear_url_caches()


@pytest.fixture
def relabel(tmp_path: Path, configure: Callable[..., None], store_dir: Path) -> Iterator[None]:
    """The type of the documentation is installed from the start."""
    folder = tmp_path / "plugins" / "tasks"
    folder.mkdir(parents=True)
    shutil.copy(CHECKOUT / "docs" / "task_type_template.py", folder / "relabel.py")
    configure(Directories, var=tmp_path)
    with override_config(UserTaskTypes, task_types=("relabel",)):
        reload()
        yield
    reload()


def test_the_platforms_types() -> None:
    found = task_types()
    assert {each.number for each in found.values()} <= {*TaskKind.values}
    assert len({each.name for each in found.values()}) == len(found)
    for each in found.values():
        assert task_type_named(each.name) is each
    assert {each.name for each in found.values() if not each.schedulable} == {"reporter"}
    assert {each.name for each in found.values() if each.operators_only} == {"additional_extract"}


def test_a_user_type_from_a_file(relabel: None) -> None:
    owner = make_account()
    client: Client = client_of(owner)
    guests = list_create(account_id=owner.pk)
    for _ in range(3):
        face_create(account_id=owner.pk, draft=FaceDraft(lists=[guests.list_id]))
    content = {"list_id": str(guests.list_id), "user_data": "guest"}
    answer = client.post("/6/tasks/relabel", {"content": content}, "application/json")
    assert answer.status_code == 202
    run_all()
    assert client.get(f"{answer.json()['url']}/result").json() == {"result": {"faces": 3}, "errors": []}
    assert {*Face.objects.unscoped().values_list("user_data", flat=True)} == {"guest"}
    wrong = client.post("/6/tasks/relabel", {"content": {"list_id": str(uuid4()), "user_data": ""}}, "application/json")
    assert (wrong.status_code, wrong.json()["error_code"]) == (404, errors.LIST_NOT_FOUND)


def test_the_template_killed_anywhere(relabel: None, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = task_type_named("relabel")
    assert kind is not None
    monkeypatch.setitem(type(kind).process.__globals__, "CHECKPOINT_FACES", 2)
    owner = make_account()
    guests = list_create(account_id=owner.pk)
    faces = [face_create(account_id=owner.pk, draft=FaceDraft(lists=[guests.list_id])) for _ in range(5)]

    def run(places: Places) -> Outcome:
        content = {"list_id": str(guests.list_id), "user_data": "guest"}
        return run_task(kind, content, scope=Scope(owner.pk), places=places)

    assert {str(outcome.result) for _, outcome in runs_killed(run)} == {"{'faces': 5}"}
    gone = faces[0]

    def lose(run_stage: object, face_id: object) -> None:
        if Face.objects.unscoped().filter(pk=gone.pk).exists():
            face_delete(account_id=owner.pk, face_id=gone.face_id)
        original(run_stage, face_id)

    original = kind.relabel  # type: ignore[attr-defined]
    monkeypatch.setattr(kind, "relabel", lose)
    assert [error.info for error in run(Places()).errors] == [str(gone.face_id)]


@pytest.mark.parametrize("number", [7, 999])
def test_user_types_cannot_replace_the_platforms(relabel: None, number: int, caplog: pytest.LogCaptureFixture) -> None:
    file = config(Directories).var / "plugins" / "tasks" / "relabel.py"
    file.write_text(file.read_text().replace("1000\n    Content", f"{number}\n    Content"))
    task_types.cache_clear()
    assert task_type_named("relabel") is None
    assert "Type relabel of tasks is not used" in caplog.text


def test_unknown_user_types_end_the_start() -> None:
    with override_config(UserTaskTypes, task_types=("nobody",)):
        (problem,) = types_check(None)
    assert "nobody" in problem.msg
    assert registry.TASK_TYPES.variable in problem.msg
