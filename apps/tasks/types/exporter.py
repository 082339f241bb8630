"""Exporter: faces or events as a table for spreadsheets, with pictures, in a ZIP archive."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count, Max
from rest_framework import serializers

from apps.common.fields import FlagField
from apps.common.scope import Scope
from apps.tasks.archives import Archive, archives_join
from apps.tasks.choices import TaskKind
from apps.tasks.filters import ObjectsContent, content_scope, source_check
from apps.tasks.pictures import picture_sources, pictures_of
from apps.tasks.ranges import KeyRange, key_ranges
from apps.tasks.tables import DELIMITERS, KINDS, Form, objects_of, objects_rows, watched
from apps.tasks.types.base import Part, ResultFile, SubtaskRun, TaskRun, TaskType

TABLE = "export.csv"
ROWS, ROWS_WITH_PICTURES = 1_000_000, 10_000  # of a subtask, which begins again if its worker dies
PAGE = 200  # objects whose pictures are looked up with one statement
COLUMNS = sorted({name for kind in KINDS.values() for name in kind.cells})


class ExporterContent(ObjectsContent):
    """Objects, their filters and the columns of the table. Default: all columns, no pictures, comma."""

    example = {"objects_type": "faces", "filters": {"user_data": "Ada Lovelace"}, "columns": ["user_data", "lists"]}
    columns = serializers.ListField(child=serializers.ChoiceField(choices=COLUMNS), required=False)
    save_images = FlagField(default=False)
    csv_delimiter = serializers.ChoiceField(choices=DELIMITERS, default=",")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values = super().to_internal_value(data)
        known = KINDS[values["objects_type"]].cells
        columns = [*dict.fromkeys(values.get("columns", known))]
        for name in columns:
            if name not in known:
                raise serializers.ValidationError({"columns": f"{values['objects_type']} have no column '{name}'."})
        return {**values, "columns": columns}


class Exporter(TaskType):
    """Writes the faces or events that exist when the task is split, in the order of their storage."""

    name = "exporter"
    number = TaskKind.EXPORTER
    Content = ExporterContent

    def check(self, content: Any, *, scope: Scope, scheduled: bool) -> None:
        content_scope(content, scope)
        source_check(content["objects_type"])

    def split(self, run: TaskRun) -> Iterable[Part]:
        size = ROWS_WITH_PICTURES if run.content["save_images"] else ROWS
        objects = _objects(run)
        with watched(run):  # PostgreSQL counts a million rows ten times as fast as `key_ranges` reads their keys
            found = objects.aggregate(count=Count("pk"), last=Max("pk"))
        ranges = [KeyRange(0, found["last"] or 0, found["count"] or 0)]
        if ranges[0].objects > size:
            ranges = key_ranges(objects, size=size, check=run.check)
        for after, until, count in ranges:
            yield Part(content={"after": after, "until": until}, parts=max(count, 1))

    def process(self, run: SubtaskRun) -> ResultFile:
        content, path = run.content, run.directory / "export.zip"
        form = Form(content["objects_type"], content["columns"], content["csv_delimiter"])
        objects = _objects(run).filter(pk__gt=run.part["after"], pk__lte=run.part["until"])
        with Archive(path, moment=run.create_time) as archive:
            with archive.table(TABLE) as write, objects_rows(run, objects, form) as rows:
                write(form.header())
                done = 0
                for each in rows:
                    write(each.lines)
                    done += each.count
                    if not content["save_images"]:
                        run.progress(done)
            if content["save_images"]:
                _write_pictures(run, archive, objects)
        return ResultFile(path=path)

    def merge(self, run: TaskRun, results: Iterator[Any]) -> ResultFile:
        path = run.directory / "export.zip"
        archives_join(run, results, table=TABLE, path=path)
        return ResultFile(path=path)


def _objects(run: TaskRun) -> Any:
    content = run.content
    scope = content_scope(content, run.scope)
    return objects_of(content["objects_type"], scope=scope, filters=content["filters"].filters)


def _write_pictures(run: SubtaskRun, archive: Archive, objects: Any) -> None:
    last, done = 0, 0
    with pictures_of(run) as pictures:
        while page := [*objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PAGE]]:
            run.check()
            last = page[-1]
            chosen = KINDS[run.content["objects_type"]].model.objects.unscoped().filter(pk__in=page)
            for each in pictures.read(picture_sources(run.content["objects_type"], chosen)):
                archive.picture(each.name, each.data)
            done += len(page)
            run.progress(done)


TYPE = Exporter()
