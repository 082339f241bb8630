"""Partitions of the descriptors of faces, by a hash of the face's key: for tables above tens of millions of rows.

Each partition is vacuumed, analysed, indexed and read by itself, and by several workers at once. Searches and services
do not depend on it: the table keeps its name, columns, constraints and triggers. Only the primary key gains the column
of the face, as PostgreSQL requires.
"""

from django.db import connection, transaction

TABLE = "faces_facedescriptor"
MAX_PARTS = 1024
WHOLE = f"{TABLE}_whole"
KIND = "SELECT relkind::text FROM pg_class WHERE oid = %s::regclass"
TRIGGERS = "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
FOREIGN_KEYS = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'"
)
BEFORE = f"""
LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE;
ALTER TABLE {TABLE} RENAME TO {WHOLE};
ALTER INDEX {TABLE}_pkey RENAME TO {WHOLE}_pkey;
ALTER INDEX face_descriptor_version RENAME TO {WHOLE}_version;
CREATE TABLE {TABLE} (
    LIKE {WHOLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING IDENTITY
) PARTITION BY HASH (face_id);
"""
PART = "CREATE TABLE {table}_{part} PARTITION OF {table} FOR VALUES WITH (MODULUS {parts}, REMAINDER {part})"
# Constraints come after the rows: an index is built faster than it is filled row by row.
AFTER = f"""
INSERT INTO {TABLE} SELECT * FROM {WHOLE};
SELECT setval(pg_get_serial_sequence('{TABLE}', 'id'), nextval(pg_get_serial_sequence('{WHOLE}', 'id')));
DROP TABLE {WHOLE};
ALTER TABLE {TABLE} ADD PRIMARY KEY (id, face_id);
ALTER TABLE {TABLE} ADD CONSTRAINT face_descriptor_version UNIQUE (face_id, version);
"""  # noqa: S608 (names of our own tables)


def parts_count() -> int:
    """Return the number of partitions of the table, 0 if it is one table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass", [TABLE])
        return int(cursor.fetchone()[0])


@transaction.atomic
def descriptors_partition(*, parts: int) -> None:
    """Divide the table of descriptors into partitions.

    Copies all rows in one transaction that excludes all other uses of the table: its size must be free on the disk
    twice. Raises ValueError for a table that has partitions, and for fewer than 2 or more than 1024 parts.
    """
    if not 2 <= parts <= MAX_PARTS:
        raise ValueError(f"`parts` must be 2 to {MAX_PARTS}, got {parts}.")
    if parts_count():
        raise ValueError(f"{TABLE} has partitions already.")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with deferred checks cannot be altered
        kept: list[str] = []
        for statement, form in ((FOREIGN_KEYS, f"ALTER TABLE {TABLE} ADD CONSTRAINT {{}} {{}}"), (TRIGGERS, "{}")):
            cursor.execute(statement, [TABLE])
            kept += [form.format(*row) for row in cursor.fetchall()]
        cursor.execute(BEFORE)
        for part in range(parts):
            cursor.execute(PART.format(table=TABLE, part=part, parts=parts))
        cursor.execute(AFTER)
        for each in kept:
            cursor.execute(each)
        cursor.execute(f"ANALYZE {TABLE}")
