"""Thin tables: copies of descriptors with the columns that searches filter by most, one row per descriptor.

A search in a thin table filters by one narrow index and then reads descriptors. It neither reads the wide table of the
objects nor joins it. Triggers keep a thin table true within the transactions of all writers, whatever statement they
use. A table that is not built has no triggers, and costs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from pgvector import Vector as PgVector

from apps.common.descriptors import DescriptorVersion, Vector
from apps.common.filters import Filters
from apps.common.filters.language import Vocabulary
from apps.common.holdings import Fault
from apps.common.nearest import Descriptors, Members, Near
from apps.common.prepared import planned_cursor

BATCH_ROWS = 5000
LOCK_TIMEOUT = "30s"  # of the triggers, which wait for running writers
COMPLETE = "complete"  # comment of a table that has all descriptors

INSTALL = """
CREATE OR REPLACE FUNCTION {thin}_described() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' AND (OLD.{owner}, OLD.version) <> (NEW.{owner}, NEW.version) THEN
        DELETE FROM {thin} WHERE {key} = OLD.{owner} AND version = OLD.version;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {thin} ({key}, version, vector, {columns})
        SELECT NEW.{owner}, NEW.version, NEW.vector, {object_columns}
        FROM {objects} o WHERE o.id = NEW.{owner} FOR SHARE
        ON CONFLICT ({key}, version) DO UPDATE SET (vector, {columns}) = (EXCLUDED.vector, {excluded_columns});
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION {thin}_object_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE {thin} SET ({columns}) = ({new_columns}) WHERE {key} = NEW.id;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER {thin}_described AFTER INSERT OR UPDATE OR DELETE ON {descriptors}
FOR EACH ROW EXECUTE FUNCTION {thin}_described();
CREATE OR REPLACE TRIGGER {thin}_object_changed AFTER UPDATE OF {columns} ON {objects}
FOR EACH ROW EXECUTE FUNCTION {thin}_object_changed();
"""
UNINSTALL = """
DROP TRIGGER IF EXISTS {thin}_described ON {descriptors};
DROP TRIGGER IF EXISTS {thin}_object_changed ON {objects};
DROP FUNCTION IF EXISTS {thin}_described();
DROP FUNCTION IF EXISTS {thin}_object_changed();
"""
# Locks keep what a batch reads as it is until the batch is committed. From then on triggers see its rows.
FILL = """
WITH batch AS (
    SELECT d.{owner} AS {key}, d.version, d.vector, {object_columns}
    FROM {descriptors} d JOIN {objects} o ON o.id = d.{owner}
    WHERE (d.{owner}, d.version) > (%s, %s) ORDER BY d.{owner}, d.version LIMIT {rows} FOR SHARE
), added AS (
    INSERT INTO {thin} ({key}, version, vector, {columns}) SELECT * FROM batch ON CONFLICT DO NOTHING
)
SELECT {key}, version, count(*) OVER () FROM batch ORDER BY {key} DESC, version DESC LIMIT 1
"""
SAME = "d.{owner} = t.{key} AND d.version = t.version"
GONE = f"NOT EXISTS (SELECT FROM {{descriptors}} d WHERE {SAME})"
STALE = f"SELECT count(*) FROM {{thin}} t WHERE {GONE}"  # noqa: S608
FORGET = f"DELETE FROM {{thin}} t WHERE {GONE}"  # noqa: S608
LACKING = f"SELECT count(*) FROM {{descriptors}} d WHERE NOT EXISTS (SELECT FROM {{thin}} t WHERE {SAME})"  # noqa: S608
STATE = "SELECT coalesce(obj_description('{thin}'::regclass, 'pg_class') = '{complete}', false)"
# A row of the thin table whose descriptor is gone was left by a change that triggers do not see, such as DROP TABLE.
SEARCH = """
SELECT s.complete, h.key, h.distance,
    EXISTS (SELECT FROM {descriptors} d WHERE d.{owner} = h.key AND d.version = h.version)
FROM ({state}) AS s (complete) LEFT JOIN (
    SELECT t.{key} AS key, t.version, t.vector <#> %s::vector AS distance
    FROM {thin} t WHERE t.version = %s AND t.{key} = ANY(ARRAY({members})) ORDER BY distance, t.{key} LIMIT %s
) h ON true ORDER BY h.distance, h.key
"""


class ThinTableError(Exception):
    """A thin table cannot be used. The message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class ThinTable:
    """A thin table and its sources.

    `key`: its column with the key of the object. `columns`: columns of the table of `objects`, with equal names.
    """

    name: str  # for operators
    thin: str
    key: str
    source: Descriptors
    objects: str
    columns: tuple[str, ...]

    def _sql(self, statement: str, **more: object) -> str:
        return statement.format(
            thin=self.thin,
            key=self.key,
            descriptors=self.source.table,
            owner=self.source.owner,
            objects=self.objects,
            columns=", ".join(self.columns),
            object_columns=", ".join(f"o.{each}" for each in self.columns),
            new_columns=", ".join(f"NEW.{each}" for each in self.columns),
            excluded_columns=", ".join(f"EXCLUDED.{each}" for each in self.columns),
            **more,
        )

    def covers(self, filters: Filters, vocabulary: Vocabulary) -> bool:
        """Return whether the table has the columns of all filters."""
        return all(getattr(vocabulary[name], "column", None) in self.columns for name in filters)

    def is_complete(self) -> bool:
        """Return whether the table has all descriptors."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(STATE, complete=COMPLETE))
            return bool(cursor.fetchone()[0])

    def rows(self) -> tuple[int, int]:
        """Return the numbers of descriptors in the table and in all."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql("SELECT (SELECT count(*) FROM {thin}), (SELECT count(*) FROM {descriptors})"))
            copied, every = cursor.fetchone()
            return copied, every

    def build(self) -> Iterator[int]:
        """Install the triggers, copy all descriptors, and yield the number of each copied batch.

        Writers continue while it copies. It can be ended at any time; another call continues.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute(self._sql(INSTALL))
        after = (0, 0)
        while True:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(self._sql(FILL, rows=BATCH_ROWS), after)
                row = cursor.fetchone()
            if row is None:
                break
            key, version, count = row
            after = key, version
            yield count
        with connection.cursor() as cursor:  # without statistics, the first searches are planned for an empty table
            cursor.execute(self._sql("ANALYZE {thin}"))
            cursor.execute(self._sql("COMMENT ON TABLE {thin} IS '{complete}'", complete=COMPLETE))

    def drop(self) -> None:
        """Remove the triggers and all rows. Searches see first that the table is not complete, then the rows go."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
            cursor.execute(self._sql("COMMENT ON TABLE {thin} IS NULL"))
            cursor.execute(self._sql(UNINSTALL))
        with connection.cursor() as cursor:
            cursor.execute(self._sql("TRUNCATE {thin}"))

    def faults(self, deep: bool) -> Iterator[Fault]:
        """Yield the numbers of rows whose descriptor is gone, and of descriptors that a complete table lacks."""
        with connection.cursor() as cursor:
            cursor.execute(self._sql(STALE))
            stale = cursor.fetchone()[0]
            cursor.execute(self._sql(LACKING))
            lacking = cursor.fetchone()[0]
        if stale:
            yield Fault("rows of deleted descriptors in the thin table", f"{stale} of {self.name}", self._forget)
        if lacking and self.is_complete():
            yield Fault("descriptors that the thin table lacks", f"{lacking} of {self.name}", self._rebuild)

    def _forget(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(self._sql(FORGET))

    def _rebuild(self) -> None:
        for _ in self.build():
            pass

    def nearest(self, *, members: Members, version: DescriptorVersion, vector: Vector, limit: int) -> Near:
        """Return the keys of the `limit` objects nearest to a unit vector, with their cosines, as `nearest` does.

        `members`: the candidates, as a sub-select of the table's `key`. Raises ThinTableError if the table is not
        complete, or has a row whose descriptor is gone.
        """
        statement = self._sql(SEARCH, members=members.sql, state=self._sql(STATE, complete=COMPLETE))
        values: list[Any] = [PgVector(vector), version.version, *members.parameters, limit]
        with planned_cursor() as cursor:
            cursor.execute(statement, values)
            rows = cursor.fetchall()
        if not rows[0][0]:
            raise ThinTableError(f"The thin table of {self.name} is not built; `manage.py thin_tables build` builds it")
        found = [(key, distance, there) for _, key, distance, there in rows if key is not None]
        if not all(there for _, _, there in found):
            raise ThinTableError(
                f"The thin table of {self.name} has rows of deleted descriptors; `manage.py thin_tables drop` and "
                "`build` make it anew"
            )
        return [(key, -distance) for key, distance, _ in found]
