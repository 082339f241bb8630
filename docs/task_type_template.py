"""Template of a type of background tasks: it writes `user_data` of all faces of a list.

Copy the file into `plugins/tasks` of the var directory as `relabel.py`, set `LUNA_TASK_TYPES=relabel` and restart the
platform. Then `POST /6/tasks/relabel` creates such tasks. docs/tasks.md describes the contract.
"""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import TextField, UUIDField
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.faces.models import Face
from apps.faces.selectors import list_get
from apps.faces.services import face_update
from apps.tasks.types.base import Needs, Part, Result, SubtaskRun, TaskRun, TaskType

SUBTASK_FACES = 1000
CHECKPOINT_FACES = 50


class RelabelContent(StrictSerializer):
    """The list, and the new text."""

    example = {"list_id": "0193a5c2-7c1e-7d55-9d0c-3f0a4b8c1d2e", "user_data": "visitor"}
    list_id = UUIDField()
    user_data = TextField(required=True, max_length=128)


class Relabel(TaskType):
    """Writes `user_data` of the faces of a list. The result is the number of its faces."""

    name, number = "relabel", 1000
    Content = RelabelContent
    needs = Needs(image_store=False)

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raise LunaError LIST_NOT_FOUND when the task is created, not hours later."""
        list_get(scope=scope, list_id=content["list_id"])

    def split(self, run: TaskRun) -> Iterator[Part]:
        """Yield a subtask for each 1000 faces; one without faces if the list is empty."""
        faces = (
            Face.objects.for_scope(run.scope).filter(links__list__list_id=run.content["list_id"]).order_by("face_id")
        )
        ids = [str(face_id) for face_id in faces.values_list("face_id", flat=True)]
        for start in range(0, max(len(ids), 1), SUBTASK_FACES):
            part = ids[start : start + SUBTASK_FACES]
            yield Part(content={"face_ids": part}, parts=len(part))

    def process(self, run: SubtaskRun) -> Result:
        """Change the faces after the last checkpoint. Each checkpoint stores changes and position together."""
        face_ids = run.part["face_ids"]
        for start in range(run.state.get("done", 0), len(face_ids), CHECKPOINT_FACES):
            run.check()
            batch = face_ids[start : start + CHECKPOINT_FACES]
            done = start + len(batch)
            with run.checkpoint({"done": done}, parts_done=done):
                for face_id in batch:
                    self.relabel(run, UUID(face_id))
        return {"faces": len(face_ids)}

    def merge(self, run: TaskRun, results: Iterator[Any]) -> Result:
        """Return the number of faces of all subtasks. `errors` of the result has the faces that were not found."""
        return {"faces": sum(result["faces"] for result in results)}

    def relabel(self, run: TaskRun, face_id: UUID) -> None:
        """Change a face. One that was deleted since the split is an error of the task, which continues."""
        try:
            face = Face.objects.for_scope(run.scope).get(face_id=face_id)
        except Face.DoesNotExist:
            run.error(LunaError(errors.FACE_NOT_FOUND, face_id), info=str(face_id))
            return
        changes = {"user_data": run.content["user_data"]}
        face_update(account_id=face.account_id, face_id=face_id, changes=changes, actor=run.actor)
