"""A list in the database with its segments, and the two matchers side by side."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.accounts.models import Account
from apps.common.descriptors import Descriptor, DescriptorVersion, Vector, versions
from apps.common.scope import Scope
from apps.faces.models import Face, List
from apps.faces.services import face_attribute_set, face_create, list_attach_faces, list_create
from apps.faces.types import AttributeData, FaceDraft
from apps.matching.config import DescriptorsCache
from apps.matching.engine.cached import CachedMatcher, service
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.protocol import Hit
from apps.matching.segments import files
from apps.matching.segments.builder import Builder
from apps.matching.types import FaceCandidates
from tests.factories import make_account, make_version, unit_vectors

VERSION, DIMENSION = 9802, 32


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> DescriptorVersion:
    found = make_version(VERSION, DIMENSION)
    monkeypatch.setitem(versions._defaults, "face", VERSION)
    return found


class Clock:
    """A clock that tests move."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Cached:
    """A list of an account, its builder and its matchers."""

    account: Account
    row: List
    root: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.builder = Builder(self.root, clock=self.clock)

    def add(self, vectors: Vector, **draft: Any) -> list[Face]:
        return [
            face_create(
                account_id=self.account.account_id,
                draft=FaceDraft(
                    attribute=AttributeData((Descriptor(VERSION, each),)), lists=[self.row.list_id], **draft
                ),
            )
            for each in vectors
        ]

    def replace(self, face: Face, vector: Vector) -> None:
        data = AttributeData((Descriptor(VERSION, vector),))
        face_attribute_set(account_id=self.account.account_id, face_id=face.face_id, attribute=data)

    def attach(self, faces: Sequence[Face]) -> None:
        ids = [face.face_id for face in faces]
        list_attach_faces(account_id=self.account.account_id, list_id=self.row.list_id, face_ids=ids)

    def build(self, later_s: float = 0.0) -> None:
        """Let the builder look at all lists after some time, and map what it wrote."""
        self.clock.now_s += later_s
        self.builder.step()
        service().copies.refresh()

    @property
    def directory(self) -> Path:
        (found,) = self.root.glob("*-*")
        return found

    def candidates(self, **filters: Any) -> FaceCandidates:
        return FaceCandidates(scope=Scope(self.account.account_id), filters={"list_id": self.row.list_id, **filters})

    def check(
        self, vectors: Vector, limit: int = 5, threshold: float = -1.0, *, memory: bool | None = True, **filters: Any
    ) -> list[list[Hit]]:
        """Compare both matchers; `memory`: whether the answer must come from memory, None if it may."""
        before = service().answers["memory"]
        arguments = (self.candidates(**filters), versions.get(VERSION), list(vectors), limit, threshold)
        expected, found = DatabaseMatcher().search(*arguments), CachedMatcher().search(*arguments)
        assert found == expected
        assert memory in (None, service().answers["memory"] > before)
        return found


@pytest.fixture
def cached_list(
    transactional_db: None, tmp_path: Path, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cached]:
    configure(DescriptorsCache, smallest_list=1, updating_cache_interval=3600)
    monkeypatch.setattr(files, "DIRECTORY", str(tmp_path / "segments"))
    service.close()
    account = make_account()
    row = list_create(account_id=account.account_id)
    yield Cached(account, row, tmp_path / "segments")
    service.close()


@pytest.fixture
def filled(cached_list: Cached) -> Cached:
    """A list of 300 faces in memory; some have equal descriptors."""
    vectors = unit_vectors(300, DIMENSION)
    vectors[200:220] = vectors[0]
    cached_list.add(vectors)
    cached_list.build()
    return cached_list


@pytest.fixture
def asked() -> Vector:
    vectors = unit_vectors(300, DIMENSION)[:3] + 0.05 * unit_vectors(3, DIMENSION, seed=7)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
