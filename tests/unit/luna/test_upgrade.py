"""Upgrades of the database: from the first migration of every room, with rows, to the newest."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from pytest_django import DjangoDbBlocker

from apps.accounts.models import Account
from apps.events.models import Event
from apps.faces.models import Face, FaceDescriptor, ListFace
from apps.handlers.models import Handler
from apps.imagestore.models import StoredObject
from tests.factories import NOON

ALIAS = "upgraded"
ROOMS = ("accounts", "imagestore", "faces", "events", "handlers")
LATER_ROOMS = {
    "sender",
    "tasks",
    "people",
    "configurator",
    "licenses",
    "monitoring",
}  # without tables in the first schema
VECTOR = np.array([0.6, 0.8], np.float32)


@pytest.fixture
def database(transactional_db: None, django_db_blocker: DjangoDbBlocker) -> Iterator[BaseDatabaseWrapper]:
    """An empty database of its own beside the tests'."""
    name = f"{connection.settings_dict['NAME']}_upgraded"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}"')
    connections.databases[ALIAS] = {**connections.databases["default"], "NAME": name}
    try:
        with django_db_blocker.unblock():  # Django allows tests the configured databases only
            yield connections[ALIAS]
    finally:
        connections[ALIAS].close()
        del connections[ALIAS]
        del connections.databases[ALIAS]
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def fill_first_schema(database: BaseDatabaseWrapper) -> dict[str, UUID]:
    """Migrate to the first migration of every room, and create an account with one row of every kind."""
    executor = MigrationExecutor(database)
    executor.migrate([(room, "0001_initial") for room in ROOMS])
    models = executor.loader.project_state([(room, "0001_initial") for room in ROOMS]).apps
    ids = {name: uuid4() for name in ("account", "face", "list", "event", "handler", "object")}

    def create(room: str, model: str, **columns: object) -> object:
        return models.get_model(room, model)._base_manager.using(ALIAS).create(**columns)

    account = create(
        "accounts",
        "Account",
        account_id=ids["account"],
        login="ada@example.com",
        password="argon2$x",
        account_type="admin",
    )
    face = create("faces", "Face", face_id=ids["face"], account=account, external_id="guest-17", user_data="Ada")
    create("faces", "FaceAttribute", face=face, age=33, descriptor_samples=[ids["object"]])
    create("faces", "FaceDescriptor", face=face, version=1001, vector=VECTOR, score=0.9)
    people = create("faces", "List", list_id=ids["list"], account=account, user_data="guests", link_key=1)
    create("faces", "ListFace", list=people, face=face, link_key=1)
    event = create(
        "events",
        "Event",
        event_id=ids["event"],
        account=account,
        handler_id=ids["handler"],
        age=33,
        create_time=NOON,
        end_time=NOON,
    )
    create("events", "EventDescriptor", event=event, version=1001, vector=VECTOR, score=0.8)
    create("handlers", "Handler", handler_id=ids["handler"], account=account, description="gate", policies={})
    create(
        "imagestore",
        "StoredObject",
        object_id=ids["object"],
        account=account,
        bucket="visionlabs-samples",
        content_type="image/jpeg",
        size_bytes=1,
        sha256="0" * 64,
    )
    return ids


def test_rows_of_the_first_schema_survive_all_migrations(database: BaseDatabaseWrapper) -> None:
    ids = fill_first_schema(database)
    call_command("migrate", database=ALIAS, verbosity=0)
    call_command("migrate", database=ALIAS, verbosity=0)  # again, as every start does

    account = Account.objects.using(ALIAS).get()
    assert (account.pk, account.login, account.is_active) == (ids["account"], "ada@example.com", True)
    face = Face._base_manager.using(ALIAS).get()
    assert (face.face_id, face.external_id, face.user_data) == (ids["face"], "guest-17", "Ada")
    assert (face.attribute.age, face.attribute.descriptor_samples) == (33, [ids["object"]])
    descriptor = FaceDescriptor.objects.using(ALIAS).get()
    assert (descriptor.version, np.allclose(descriptor.vector, VECTOR)) == (1001, True)
    link = ListFace._base_manager.using(ALIAS).get()
    assert (link.face_id, link.list.list_id, link.link_key) == (face.pk, ids["list"], 1)
    event = Event._base_manager.using(ALIAS).get()
    assert (event.event_id, event.handler_id, event.age) == (ids["event"], ids["handler"], 33)
    assert event.descriptors.get().version == 1001
    assert Handler._base_manager.using(ALIAS).get().description == "gate"
    stored = StoredObject._base_manager.using(ALIAS).get()
    assert (stored.object_id, stored.bucket) == (ids["object"], "visionlabs-samples")
    with database.cursor() as cursor:
        cursor.execute("SELECT vlmatch('\\x00ff'::bytea, '\\xff00'::bytea, 2)")
        assert cursor.fetchone() is not None


def test_every_room_with_tables_takes_part() -> None:
    migrated = {app for app, _ in MigrationLoader(None).graph.nodes}
    ours = {each.label for each in apps.get_app_configs() if each.name.startswith("apps.")}
    assert migrated & ours == set(ROOMS) | LATER_ROOMS
