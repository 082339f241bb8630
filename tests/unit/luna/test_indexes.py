"""Indexes that another one makes needless slow every insert down."""

import pytest
from django.apps import apps
from django.db import connection

SPARE = """
SELECT spare.indexrelid::regclass::text, other.indexrelid::regclass::text
FROM pg_index spare JOIN pg_index other ON spare.indrelid = other.indrelid AND spare.indexrelid <> other.indexrelid
WHERE spare.indrelid::regclass::text = ANY(%s) AND NOT spare.indisunique
  AND spare.indpred IS NULL AND other.indpred IS NULL
  AND array_to_string(other.indkey::int[], ' ') LIKE array_to_string(spare.indkey::int[], ' ') || ' %%'
"""


@pytest.mark.django_db
def test_no_index_is_the_beginning_of_another() -> None:
    ours = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
    tables = [model._meta.db_table for config in ours for model in config.get_models()]
    with connection.cursor() as cursor:
        cursor.execute(SPARE, [tables])
        assert cursor.fetchall() == []


@pytest.mark.django_db
def test_the_question_finds_such_indexes() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX spare ON faces_face (account_id)")
        cursor.execute(SPARE, [["faces_face"]])
        assert {spare for spare, _ in cursor.fetchall()} == {"spare"}
