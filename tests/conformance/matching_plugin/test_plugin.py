"""Conformance of matching plugins: `pytest --luna-matching-plugin NAME` runs these tests with one plugin.

NAME is an active name, a path of a file, or a module that can be imported. Without the option the tests run with every
built-in plugin and the template of the documentation.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from django.db import connection

from apps.common.descriptors import Descriptor, Vector
from apps.faces.services import face_attribute_set, face_delete, list_delete
from apps.faces.types import AttributeData
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.plugins.contract import ID_OF, SubRequest
from apps.matching.plugins.router import Router
from apps.matching.plugins.runner import Runner
from tests.conformance.matching_plugin.conftest import DIMENSION, FACE, World
from tests.factories import unit_vectors

HANDED_BACK = ("failed", "skipped", "disagreed", "contract_broken")


def asked(world: World, count: int = 3) -> Vector:
    """Vectors near stored ones, without equal cosines at different descriptors."""
    near = world.vectors[:count] + 0.05 * unit_vectors(count, DIMENSION, seed=7)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def check(plugin: Runner, request: SubRequest) -> None:
    """Compare the router's answer with the database's: keys, cosines and order."""
    arguments = (request.candidates, request.version, request.vectors, request.limit, request.threshold)
    expected = DatabaseMatcher().search(*arguments)
    assert Router(runners=lambda: [plugin]).search(*arguments) == expected, request


def test_serves_some_requests(plugin: Runner, world: World) -> None:
    served = world.requests(plugin, asked(world), 5, -1.0)
    assert served, "The plugin has a cost below 100 for none of the suite's requests."
    assert {ID_OF[request.origin] for request in served} <= plugin.plugin.targets


def test_answers_are_those_of_the_database(plugin: Runner, world: World) -> None:
    for limit, threshold in product((1, 5, 100), (-1.0, 0.2, 0.9, 1.0)):
        for request in world.requests(plugin, asked(world), limit, threshold):
            check(plugin, request)
    assert not any(plugin.answers[name] for name in HANDED_BACK), plugin.answers
    assert plugin.answers["answered"]


def test_equal_cosines_keep_the_order_of_creation(plugin: Runner, world: World) -> None:
    for limit in (1, 2, 3, 4):
        for request in world.requests(plugin, world.vectors[:4], limit, -1.0):
            check(plugin, request)


def test_one_and_many_references(plugin: Runner, world: World) -> None:
    for count in (1, 2, 30):
        for request in world.requests(plugin, asked(world, count), 3, 0.0):
            check(plugin, request)
    assert not any(plugin.answers[name] for name in HANDED_BACK), plugin.answers


def test_foreign_objects_stay_hidden(plugin: Runner, world: World) -> None:
    """Whatever a plugin finds, objects of other accounts are no hits."""
    own = {face.pk for face in world.faces} | {event.pk for event in world.events} | set(world.attributes)
    for request in world.requests(plugin, asked(world), 100, -1.0):
        for hits in Router(runners=lambda: [plugin]).search(
            request.candidates, request.version, request.vectors, request.limit, request.threshold
        ):
            assert {hit.key for hit in hits} <= own


@pytest.mark.parametrize("refreshed", [True, False])
def test_deleted_and_replaced_objects(plugin: Runner, world: World, refreshed: bool) -> None:
    """Right answers after changes, also before the plugin knows them."""
    account_id = world.account.account_id
    face_delete(account_id=account_id, face_id=world.faces[0].face_id)
    moved = AttributeData((Descriptor(FACE, -world.vectors[1]),))
    face_attribute_set(account_id=account_id, face_id=world.faces[1].face_id, attribute=moved)
    if refreshed:
        plugin.plugin.refresh()
    for request in world.requests(plugin, asked(world), 5, -1.0):
        check(plugin, request)


def test_a_deleted_list_is_empty(plugin: Runner, world: World) -> None:
    list_delete(account_id=world.account.account_id, list_id=world.list_id)
    for request in world.requests(plugin, asked(world), 5, -1.0):
        check(plugin, request)


def test_concurrent_searches(plugin: Runner, world: World) -> None:
    requests = world.requests(plugin, asked(world), 5, 0.0)

    def search(request: SubRequest) -> None:
        try:
            check(plugin, request)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(search, request) for request in requests * 8]:
            done.result()
    assert not any(plugin.answers[name] for name in ("failed", "disagreed", "contract_broken")), plugin.answers


def test_a_closed_plugin_starts_again(plugin: Runner, world: World) -> None:
    plugin.plugin.close()
    plugin.plugin.initialize()
    for request in world.requests(plugin, asked(world), 5, -1.0):
        check(plugin, request)
    assert plugin.answers["answered"]
