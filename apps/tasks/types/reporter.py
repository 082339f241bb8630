"""Reporter: the clusters of a clustering task as a table for spreadsheets, with pictures, in a ZIP archive."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, Any
from uuid import UUID

import ijson
from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError
from apps.common.fields import FlagField, TextField, WholeNumberField, account_field, parse_uuid
from apps.common.scope import Scope
from apps.common.validation import StrictSerializer
from apps.imagestore.choices import Bucket
from apps.imagestore.selectors import object_get
from apps.imagestore.services import object_open
from apps.tasks.archives import Archive, archives_join
from apps.tasks.choices import TaskKind, TaskStatus
from apps.tasks.filters import ObjectsType, scope_narrowed
from apps.tasks.models import Task
from apps.tasks.pictures import Pictures, picture_sources, pictures_of
from apps.tasks.tables import DELIMITERS, KINDS, Form, numbered_rows
from apps.tasks.types.base import Part, ResultFile, SubtaskRun, TaskRun, TaskType

TABLE = "report.csv"
ROWS, ROWS_WITH_PICTURES = 1_000_000, 10_000  # of a subtask, which begins again if its worker dies
PAGE, PAGE_WITH_PICTURES = 5_000, 200  # ids of one statement
MAX_COLUMNS = 100

Numbered = tuple[int, UUID]


class ReporterContent(StrictSerializer):
    """The clustering task and the columns of the table. Default: all columns, no pictures, comma."""

    example = {"task_id": 1, "columns": ["user_data", "create_time"], "save_images": 1}
    task_id = WholeNumberField(min_value=1, max_value=2**63 - 1)
    columns = serializers.ListField(child=TextField(max_length=64), required=False, max_length=MAX_COLUMNS)
    save_images = FlagField(default=False)
    csv_delimiter = serializers.ChoiceField(choices=DELIMITERS, default=",")
    account_id = account_field()


class Reporter(TaskType):
    """Writes a row of each object of the clusters: the number of its cluster, its id and the chosen columns.

    The number is the place of the cluster in the result of the clustering task, from 0. Columns of objects that do not
    exist any more are empty.
    """

    name = "reporter"
    number = TaskKind.REPORTER
    Content = ReporterContent
    schedulable = False  # a schedule would repeat the report of one task

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        """Raises LunaError TASK_NOT_FOUND, and the errors of `_columns` and `_clustering`."""
        scope = scope_narrowed(scope, [content.get("account_id")])
        _columns(content, _clustering(content, scope))

    def split(self, run: TaskRun) -> Iterable[Part]:
        """Raises the errors of `check` for a task that has changed since the creation."""
        size = ROWS_WITH_PICTURES if run.content["save_images"] else ROWS
        count = 0
        with _clusters(run) as numbered:
            for _ in numbered:
                count += 1
        for start in range(0, max(count, 1), size):
            rows = min(size, count - start)
            yield Part(content={"start": start, "rows": rows}, parts=max(rows, 1))

    def process(self, run: SubtaskRun) -> ResultFile:
        content, path, scope = run.content, run.directory / "report.zip", _scope(run)
        task = _clustering(content, scope)
        form = Form(_objects_type(task), _columns(content, task), content["csv_delimiter"])
        with Archive(path, moment=run.create_time) as archive:
            with archive.table(TABLE) as write, _clusters(run) as numbered:
                write(form.header("cluster"))
                for done, page in _pages(run, numbered, PAGE):
                    with numbered_rows(run, page, form, scope=scope) as rows:
                        for each in rows:
                            write(each.lines)
                    if not content["save_images"]:
                        run.progress(done)
            if content["save_images"]:
                with pictures_of(run) as pictures, _clusters(run) as numbered:
                    for done, page in _pages(run, numbered, PAGE_WITH_PICTURES):
                        _write_pictures(run, archive, pictures, task, page)
                        run.progress(done)
        return ResultFile(path=path)

    def merge(self, run: TaskRun, results: Iterator[Any]) -> ResultFile:
        path = run.directory / "report.zip"
        archives_join(run, results, table=TABLE, path=path)
        return ResultFile(path=path)


def _write_pictures(run: SubtaskRun, archive: Archive, pictures: Pictures, task: Task, page: list[Numbered]) -> None:
    kind = _objects_type(task)
    chosen = KINDS[kind].model.objects.for_scope(_scope(run))
    found = chosen.filter(**{f"{KINDS[kind].name}__in": [each for _, each in page]})
    sources = picture_sources(kind, found, body_first=task.content.get("descriptor") == "body")
    for each in pictures.read(sources):
        archive.picture(each.name, each.data)


def _clustering(content: Any, scope: Scope) -> Task:
    """Return the clustering task.

    Raises LunaError TASK_NOT_FOUND, TASK_TYPE_WITHOUT_REPORT for another type, TASK_STATUS_WITHOUT_REPORT for a task
    that is not done, CLUSTERING_WITHOUT_RESULT for one without result.
    """
    task: Task | None = Task.objects.for_scope(scope).filter(task_id=content["task_id"]).first()
    if task is None:
        raise LunaError(errors.TASK_NOT_FOUND, content["task_id"])
    if task.task_type != TaskKind.CLUSTERING:
        raise LunaError(errors.TASK_TYPE_WITHOUT_REPORT, _word(TaskKind, task.task_type))
    if task.task_status != TaskStatus.DONE:
        raise LunaError(errors.TASK_STATUS_WITHOUT_REPORT, _word(TaskStatus, task.task_status))
    if task.result_id is None:
        raise LunaError(errors.CLUSTERING_WITHOUT_RESULT)
    return task


def _scope(run: TaskRun) -> Scope:
    return scope_narrowed(run.scope, [run.content.get("account_id")])


def _word(choices: Any, number: int) -> str:
    return choices(number).name.lower() if number in choices.values else str(number)


def _objects_type(task: Task) -> ObjectsType:
    kind: ObjectsType = task.content["objects_type"]
    return kind


def _columns(content: Any, task: Task) -> list[str]:
    """Return the columns of the table. Raises LunaError BAD_REPORT_COLUMN for one that the objects do not have."""
    kind = _objects_type(task)
    known = KINDS[kind].cells
    columns = [*dict.fromkeys(content.get("columns", known))]
    for name in columns:
        if name not in known:
            raise LunaError(errors.BAD_REPORT_COLUMN, name, kind)
    return columns


@contextmanager
def _clusters(run: TaskRun) -> Iterator[Iterator[Numbered]]:
    """Open the ids of the clusters with the numbers of their clusters.

    Raises LunaError TASK_RESULT_NOT_FOUND if the result is gone, and the errors of `_clustering`.
    """
    result_id: Any = _clustering(run.content, _scope(run)).result_id
    try:
        stored = object_get(scope=_scope(run), bucket=Bucket.TASK_RESULT, object_id=result_id)
    except LunaError as error:
        raise LunaError(errors.TASK_RESULT_NOT_FOUND, run.content["task_id"]) from error
    with object_open(stored=stored) as file:
        yield _numbered(file, run)


def _numbered(file: IO[bytes], run: TaskRun) -> Iterator[Numbered]:
    """Yield the ids one by one: a result of a million ids is never in memory as a whole."""
    number = -1
    for prefix, event, value in ijson.parse(file):
        if prefix == "result.clusters.item" and event == "start_array":
            run.check()
            number += 1
        elif prefix == "result.clusters.item.item" and (found := parse_uuid(value)) is not None:
            yield number, found


def _pages(run: SubtaskRun, numbered: Iterator[Numbered], size: int) -> Iterator[tuple[int, list[Numbered]]]:
    """Yield the ids of the subtask in pages, each with the number of ids so far."""
    mine = islice(numbered, run.part["start"], run.part["start"] + run.part["rows"])
    done = 0
    while page := [*islice(mine, size)]:
        run.check()
        done += len(page)
        yield done, page


TYPE = Reporter()
