"""Faces are linked, unlinked, replaced and deleted while others match: each answer is the database's of some moment.

`LUNA_SOAK_S=60 pytest -s …/test_soak.py` runs it longer.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from django.db import connection

from apps.common.descriptors import Vector, versions
from apps.faces.models import Face
from apps.faces.services import face_delete, list_detach_faces
from apps.matching.engine.cached import CachedMatcher, service
from apps.matching.engine.protocol import Hit
from apps.matching.segments import builder as builder_module
from tests.factories import unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, VERSION, Cached

SOAK_S = float(os.environ.get("LUNA_SOAK_S", "4"))
READERS = 3
LIMIT = 8
PAUSE_S = 0.02

State = dict[int, Vector]  # database key of a face in the list: its descriptor


@dataclass
class History:
    """All states of the list. State i is valid from some moment in `changes[i]` to some moment in `changes[i + 1]`."""

    states: list[State] = field(default_factory=list)
    changes: list[tuple[float, float]] = field(default_factory=list)

    def change(self, do: Callable[[], object], state: State) -> None:
        began = time.monotonic()
        do()
        self.states.append(state)
        self.changes.append((began, time.monotonic()))

    def between(self, began: float, ended: float) -> list[State]:
        """The states that can have been valid at some moment of an interval."""
        states, changes = list(self.states), list(self.changes)
        until = [*(end for _, end in changes[1:]), np.inf]
        return [
            state
            for state, (start, _), end in zip(states, changes, until, strict=False)
            if start <= ended and end >= began
        ]


def agrees(hits: list[Hit], state: State, vector: Vector) -> bool:
    """Whether hits are the nearest faces of a state; cosines that differ by less than rounding may change places."""
    if len(hits) != min(LIMIT, len(state)) or any(hit.key not in state for hit in hits):
        return False
    keys = np.array(list(state))
    cosines = np.array([np.dot(each.astype(np.float64), vector) for each in state.values()])
    best = np.sort(cosines)[::-1][: len(hits)]
    own = dict(zip(keys.tolist(), cosines.tolist(), strict=True))
    return all(
        abs(hit.cosine - wanted) < 1e-5 and abs(own[int(str(hit.key))] - hit.cosine) < 1e-5
        for hit, wanted in zip(hits, best, strict=True)
    )


def test_matching_while_the_list_changes(filled: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "TAIL_ROWS", 5)
    vectors = unit_vectors(300, DIMENSION)
    vectors[200:220] = vectors[0]
    faces = list(Face.objects.unscoped().order_by("pk"))
    state = {face.pk: vector for face, vector in zip(faces, vectors, strict=True)}
    history = History([state], [(0.0, 0.0)])
    ends = time.monotonic() + SOAK_S
    wrong: list[str] = []
    answers = [0]

    def guarded(work: Callable[[np.random.Generator], None], seed: int) -> threading.Thread:
        def run() -> None:
            random = np.random.default_rng(seed)
            try:
                while time.monotonic() < ends and not wrong:
                    work(random)
            except Exception as error:
                wrong.append(repr(error))
            finally:
                connection.close()

        return threading.Thread(target=run)

    def write(random: np.random.Generator) -> None:
        state = dict(history.states[-1])
        vector = unit_vectors(1, DIMENSION, seed=int(random.integers(2**32)))[0]
        inside = [face for face in faces if face.pk in state]
        outside = [face for face in faces if face.pk not in state]
        action = random.integers(5)
        if action == 0:
            history_add(vector)
        elif action == 1 and outside:
            face = outside[0]
            history.change(lambda: filled.attach([face]), state | {face.pk: detached.pop(face.pk)})
        else:
            face = inside[int(random.integers(len(inside)))]
            if action == 2:
                detached[face.pk] = state.pop(face.pk)
                ids = [face.face_id]
                history.change(
                    lambda: list_detach_faces(
                        account_id=filled.account.account_id, list_id=filled.row.list_id, face_ids=ids
                    ),
                    state,
                )
            elif action == 3:
                del state[face.pk]
                faces.remove(face)
                history.change(lambda: face_delete(account_id=filled.account.account_id, face_id=face.face_id), state)
            else:
                history.change(lambda: filled.replace(face, vector), state | {face.pk: vector})
        time.sleep(PAUSE_S)

    detached: dict[int, Vector] = {}

    def history_add(vector: Vector) -> None:
        began = time.monotonic()
        (face,) = filled.add(vector[None])
        faces.append(face)
        history.states.append(history.states[-1] | {face.pk: vector})
        history.changes.append((began, time.monotonic()))

    checks: list[tuple[list[Hit], Vector, float, float]] = []

    def read(random: np.random.Generator) -> None:
        vector = unit_vectors(1, DIMENSION, seed=int(random.integers(2**32)))[0]
        began = time.monotonic()
        (hits,) = CachedMatcher().search(filled.candidates(), versions.get(VERSION), [vector], LIMIT, -1.0)
        checks.append((hits, vector, began, time.monotonic()))
        answers[0] += 1

    def build(random: np.random.Generator) -> None:
        filled.build(later_s=1)
        time.sleep(0.1)

    threads = [guarded(write, 1), guarded(build, 2), *(guarded(read, 10 + number) for number in range(READERS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    for hits, vector, began, ended in checks:
        possible = history.between(began, ended)
        assert any(agrees(hits, state, vector) for state in possible), (hits, len(possible))
    memory, database = service().answers["memory"], service().answers["database"]
    print(f"{answers[0]} answers, {len(history.states)} changes, {memory} from memory, {database} from the database")
    assert answers[0] > 10
    assert len(history.states) > 10
    assert memory > 0.5 * answers[0]
