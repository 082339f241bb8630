"""Rows of hand-written SQL equal those of the ORM."""

from datetime import UTC

import pytest
from django.db import connection

from apps.common.prepared import planned_cursor, prepared_cursor
from apps.common.rows import columns_of, instance_of
from apps.events.models import Event
from tests.factories import make_account, make_event


@pytest.mark.django_db
@pytest.mark.parametrize("cursor_of", [connection.cursor, prepared_cursor, planned_cursor])
@pytest.mark.parametrize("meta", [None, {"a": [1, 2.5, None, "ä"]}, [], "text", 0, False])
def test_an_instance_is_that_of_the_orm(cursor_of: object, meta: object) -> None:
    event = make_event(make_account(), meta=meta, tags=["a"], upper_clothing_colors=[1, 2], longitude=1.5, latitude=-2)
    columns = columns_of(Event)
    with cursor_of() as cursor:  # type: ignore[operator]
        cursor.execute(f"SELECT {', '.join(columns)} FROM events_event WHERE id = %s", [event.pk])  # noqa: S608
        found = instance_of(Event, columns, cursor.fetchone())
    expected = Event.objects.unscoped().get(pk=event.pk)
    assert {name: getattr(found, name) for name in columns} == {name: getattr(expected, name) for name in columns}
    assert found.create_time.utcoffset() == UTC.utcoffset(None)
    assert (found.meta, found._state.adding) == (meta, False)
