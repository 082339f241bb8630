"""Partition events and their descriptors by time, and move the rows that exist.

The key of an event becomes its time of storage in milliseconds since 1970, then 20 bits of a sequence. It remains the
primary key, and partitions are ranges of it, so foreign keys and the ORM need no second column.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEY = """
CREATE SEQUENCE events_key_number AS bigint CYCLE;
CREATE FUNCTION events_key(stored timestamptz) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (floor(extract(epoch FROM stored) * 1000)::bigint << 20) | (nextval('events_key_number') & 1048575)
$$;
"""
TABLES = """
ALTER TABLE events_event RENAME TO events_event_old;
ALTER TABLE events_eventdescriptor RENAME TO events_eventdescriptor_old;
CREATE TABLE events_event (LIKE events_event_old INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (id);
ALTER TABLE events_event ALTER COLUMN id SET DEFAULT events_key(now());
CREATE TABLE events_eventdescriptor (LIKE events_eventdescriptor_old INCLUDING DEFAULTS INCLUDING STORAGE)
    PARTITION BY RANGE (event_id);
ALTER TABLE events_eventdescriptor DROP COLUMN id;
"""
# The order of the keys, and with it the order of storage, remains. The thin table, whose triggers are gone with the old
# tables, counts as not built.
MOVE = """
CREATE TEMPORARY TABLE events_moved ON COMMIT DROP AS
    SELECT id AS old, events_key(insert_time) AS new FROM (SELECT id, insert_time FROM events_event_old ORDER BY id) e;
INSERT INTO events_event (id, {columns})
    SELECT new, {columns} FROM events_event_old e JOIN events_moved ON old = e.id ORDER BY new;
INSERT INTO events_eventdescriptor (event_id, version, vector, score)
    SELECT new, version, vector, score FROM events_eventdescriptor_old JOIN events_moved ON old = event_id ORDER BY new;
DROP TABLE events_eventdescriptor_old;
DROP TABLE events_event_old;
TRUNCATE events_thinevent;
COMMENT ON TABLE events_thinevent IS NULL;
"""
CONSTRAINTS = """
ALTER TABLE events_event ADD PRIMARY KEY (id);
ALTER TABLE events_event ADD CONSTRAINT events_event_account_fk FOREIGN KEY (account_id)
    REFERENCES accounts_account (account_id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE events_eventdescriptor ADD PRIMARY KEY (event_id, version);
CREATE INDEX event_version ON events_eventdescriptor (version, event_id);
"""
SEARCHED = (
    "end_time", "insert_time", "gender", "age", "emotion", "ethnic_group", "mask", "liveness", "deepfake",
    "apparent_gender", "apparent_age", "headwear_state", "headwear_apparent_color", "sleeve_length",
    "upper_clothing_colors", "backpack_state", "lower_garment_type", "lower_garment_colors", "shoes_apparent_color",
    "top_matching_candidates_label", "top_similar_object_similarity",
    "city", "area", "district", "street", "house_number", "longitude", "latitude",
)  # fmt: skip
INDEXES = (
    models.Index(fields=("account", "-create_time", "-id"), include=SEARCHED, name="event_page"),
    models.Index(fields=("-create_time", "-id"), name="event_time"),
    models.Index(fields=("account", "handler_id", "-create_time", "-id"), name="event_handler"),
    models.Index(fields=("account", "source", "-create_time", "-id"), name="event_source"),
    models.Index(fields=("face_id",), condition=models.Q(face_id__isnull=False), name="event_face"),
    models.Index(fields=("account", "external_id"), condition=~models.Q(external_id=""), name="event_external"),
    models.Index(fields=("account", "user_data"), condition=~models.Q(user_data=""), name="event_user_data"),
    models.Index(fields=("account", "track_id"), condition=models.Q(track_id__isnull=False), name="event_track"),
    models.Index(
        fields=("account", "stream_id", "-create_time", "-id"),
        condition=models.Q(stream_id__isnull=False),
        name="event_stream",
    ),
    models.Index(
        fields=("top_similar_object_id",),
        condition=models.Q(top_similar_object_id__isnull=False),
        name="event_top_object",
    ),
    models.Index(
        fields=("account", "top_similar_external_id"),
        condition=models.Q(top_similar_external_id__isnull=False),
        name="event_top_external",
    ),
    django.contrib.postgres.indexes.GinIndex(fields=("tags",), name="event_tags"),
)
OLD_INDEXES = (
    "events_even_account_bbc4bb_idx", "event_time", "events_even_account_4c5d82_idx", "events_even_account_08182d_idx",
    "event_face", "event_external", "event_track", "event_top_object", "event_tags",
)  # fmt: skip


def partition(apps: Any, schema_editor: Any) -> None:
    """Replace both tables by partitioned ones with the same rows."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with pending checks cannot be altered
        cursor.execute(TABLES)
        cursor.execute("SELECT min(insert_time) FROM events_event_old")
        ((oldest,),) = cursor.fetchall()
        for name, low, high in partitions(oldest):
            for table in ("events_event", "events_eventdescriptor"):
                bounds = f"FROM ({low}) TO ({high})"
                cursor.execute(f"CREATE TABLE {table}_{name} PARTITION OF {table} FOR VALUES {bounds}")
        columns = [field.column for field in apps.get_model("events", "Event")._meta.concrete_fields]
        cursor.execute(MOVE.format(columns=", ".join(column for column in columns if column != "id")))
        cursor.execute(CONSTRAINTS)
        for name, _, _ in partitions(oldest):
            cursor.execute(f"CREATE UNIQUE INDEX ON events_event_{name} (event_id)")


def partitions(oldest: datetime | None) -> Iterator[tuple[str, object, object]]:
    """Yield name and bounds of the months since the oldest event, and of a last partition without upper bound."""
    now = datetime.now(UTC)
    month = min(oldest or now, now).astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    low: object = "MINVALUE"
    while month <= now:
        after = (month + timedelta(days=32)).replace(day=1)
        high = (after - EPOCH) // timedelta(milliseconds=1) << 20
        yield f"p{month:%Y%m%d}", low, high
        month, low = after, high
    yield "future", low, "MAXVALUE"


class Migration(migrations.Migration):
    dependencies = [("events", "0005_thin_table")]

    operations = [
        *(migrations.RemoveIndex("event", name) for name in OLD_INDEXES),
        migrations.RemoveIndex("eventdescriptor", "event_version"),
        migrations.RemoveConstraint("eventdescriptor", "event_descriptor_version"),
        migrations.RunSQL(KEY),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(partition)],
            state_operations=[
                migrations.RemoveField("eventdescriptor", "id"),
                migrations.AddField(
                    "eventdescriptor",
                    "pk",
                    models.CompositePrimaryKey(
                        "event", "version", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                migrations.AlterField(
                    "eventdescriptor",
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="descriptors",
                        to="events.event",
                    ),
                ),
                migrations.AddIndex("eventdescriptor", models.Index(fields=["version", "event"], name="event_version")),
            ],
        ),
        *(migrations.AddIndex("event", index) for index in INDEXES),
    ]
