"""Fast codes: what they find, and that whatever they find is right."""

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from apps.common.descriptors import Vector, versions
from apps.faces.models import Face
from apps.faces.services import face_delete, list_delete, list_detach_faces
from apps.matching.config import DescriptorsCache, MatchingSpeed
from apps.matching.engine.cached import can_serve_fast, service
from apps.matching.engine.database import DatabaseMatcher
from apps.matching.engine.protocol import Hit
from apps.matching.plugins.router import Router
from apps.matching.segments import fast, fast_building, fast_making
from apps.matching.segments import scan as scan_module
from apps.matching.segments.builder import lists_wanted
from apps.matching.segments.fast_building import FastBuilder, fast_build_once, fast_lock
from apps.matching.segments.fast_making import fast_make, recall_of
from apps.matching.segments.fast_wanted import ASKED
from tests.factories import unit_vectors
from tests.unit.matching.segments.conftest import DIMENSION, VERSION, Cached
from tests.unit.matching.segments.test_scan import NOTHING, decaying, nearest, segment_of, unit


def test_recall_is_measured_and_reached() -> None:
    """Measured recall is that of other strangers and known people too."""
    rows = decaying(10_000, 64, 3, 0.5)
    segment = segment_of(rows)
    made = fast_make(segment, target=0.97, known_cosine=0.6)
    assert made.recall.reaches(0.97)
    assert made.recall.known is not None
    strangers = decaying(100, 64, 9, 0.5)
    own = np.arange(100) * 100
    known = unit(0.6 * rows[own] + 0.8 * np.roll(rows[own], 1, axis=0))
    right = [nearest(segment.keys, rows, vector, 5, -1.0) for vector in strangers]
    proposed = fast.proposals_fast(
        [(segment, np.empty(0, np.intp), replace(made.fast, exact_from=fast.NEVER))],
        (NOTHING[0], rows[:0]),
        strangers,
        5,
        -1.0,
    )
    found = [np.isin(keys, each.keys).mean() for keys, each in zip(right, proposed, strict=True)]
    assert np.mean(found) == pytest.approx(made.recall.strangers, abs=0.03)
    met = made.fast.near(known, made.fast.candidates)
    assert np.mean([row in rows_of for row, rows_of in zip(own, met, strict=True)]) >= 0.98


def test_a_low_recall_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too small codes the measurement does not flatter."""
    monkeypatch.setattr(fast_making, "PIECES", (16,))
    monkeypatch.setattr(fast_making, "CANDIDATES", (200,))
    rows = unit_vectors(8000, 64)
    made = fast_make(segment_of(rows), target=0.99, known_cosine=0.5)
    assert not made.recall.reaches(0.99)
    questions = fast_making.questions_of(segment_of(rows), 0.5, np.random.default_rng(3))
    assert recall_of(made.fast, questions).strangers == pytest.approx(made.recall.strangers, abs=0.1)


def test_people_behind_strangers_are_not_counted() -> None:
    """Only known people whom an exact scan finds are asked for: others would not be missed by fast codes."""
    segment = segment_of(decaying(3000, 64, 3, 0.5))
    rows = fast_making.decoded(segment, slice(None))
    questions = fast_making.questions_of(segment, 0.45, np.random.default_rng(3))
    assert 0 < len(questions.known) < fast_making.ASKED
    for vector, row in zip(questions.known, questions.stored, strict=True):
        assert np.sum(rows @ vector > rows[row] @ vector + 0.01) < fast_making.TOP  # codes are off by .007
    made = fast_make(segment, target=0.9, known_cosine=0.45)
    assert made.recall.known is not None
    assert made.recall.known > 0.95
    assert fast_make(segment, target=0.9, known_cosine=-0.5).recall.known is None


def test_large_batches_are_scanned_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the measured number of vectors on, a search scans all rows; below, it uses fast codes."""
    rows = decaying(3000, 64, 3, 0.5)
    segment = segment_of(rows)
    seconds = {"exact": 0.0, "one": 0.0, "batch": 0.0}
    measured = iter(("batch", "exact", "one") * 3)
    monkeypatch.setattr(fast_making, "_cpu_s", lambda call: seconds[next(measured)])
    for batch, exact, one, expected in ((60, 39, 10, 9), (30, 39, 10, fast.NEVER), (360, 39, 10, 1)):
        seconds.update(batch=batch, exact=exact, one=one)
        made = fast_make(segment, target=0.9, known_cosine=0.6)
        assert made.fast.exact_from == expected
    vectors = decaying(12, 64, 9, 0.5)
    coded = [(segment, np.arange(7), replace(made.fast, exact_from=10, candidates=6))]
    monkeypatch.setattr(fast, "PER_RESULT", 1)
    loose = np.array([9_999_999]), vectors[:1]
    right = scan_module.proposals([(segment, np.arange(7), None)], loose, vectors, 5, -1.0)
    for some in (vectors, vectors[:10]):
        found = fast.proposals_fast(coded, loose, some, 5, -1.0)
        assert all((a.keys == b.keys).all() for a, b in zip(found, right, strict=False))
    few = fast.proposals_fast(coded, loose, vectors[:9], 5, -1.0)
    assert any(len(a.keys) != len(b.keys) or (a.keys != b.keys).any() for a, b in zip(few, right, strict=False))


@pytest.fixture
def coded(cached_list: Cached, configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Cached:
    """A list of 120 faces with fast codes that propose few of them."""
    configure(MatchingSpeed, fast_from=1, default_speed="fast")
    monkeypatch.setattr(fast_making, "CANDIDATES", (40,))
    monkeypatch.setattr(fast_making, "_exact_from", lambda *_: fast.NEVER)
    monkeypatch.setattr(fast, "PER_RESULT", 4)
    cached_list.add(unit_vectors(120, DIMENSION))
    cached_list.build()
    build(cached_list)
    return cached_list


def build(rows: Cached) -> None:
    FastBuilder(rows.root, clock=rows.clock).step()
    service().copies.refresh()


def search(
    rows: Cached, vectors: Vector, limit: int = 5, threshold: float = -1.0, **filters: object
) -> list[list[Hit]]:
    """Search fast; every hit has the database's cosine, in the database's order, and no hit is made up."""
    arguments = (rows.candidates(**filters), versions.get(VERSION), list(vectors), limit, threshold)
    found = Router().search(*arguments)
    every = DatabaseMatcher().search(*arguments[:3], 1000, threshold)
    for hits, right in zip(found, every, strict=True):
        assert [hit for hit in right if hit in hits] == hits
    return found


def is_fast(rows: Cached) -> bool:
    return can_serve_fast(rows.candidates(), versions.get(VERSION))


@pytest.mark.django_db(transaction=True)
class TestLists:
    def test_hits_are_the_databases(self, coded: Cached, asked: Vector) -> None:
        before = service().answers["fast"]
        for limit, threshold in ((1, -1.0), (5, 0.3), (100, -1.0)):
            found = search(coded, asked, limit, threshold)
            assert all(hits[0].cosine > 0.9 for hits in found)
        assert service().answers["fast"] == before + 9
        assert search(coded, asked, 3, user_data="nobody") == [[], [], []]
        status = service().status()
        assert status["fast_lists"] == 1
        assert 0 < status["fast_least_recall_of_strangers"] <= 1  # type: ignore[operator]

    def test_changes_are_seen_at_once(self, coded: Cached, asked: Vector) -> None:
        """A removed or replaced face is not found with its old score; a new one is found."""
        (face,) = coded.add(asked[:1])
        assert search(coded, asked[:1], 1)[0][0].key == face.pk
        coded.replace(face, -asked[0])
        assert face.pk not in {hit.key for hit in search(coded, asked[:1], 5)[0]}
        coded.replace(face, asked[0])
        coded.build(later_s=100)  # another segment without fast codes: all its rows are compared
        assert search(coded, asked[:1], 1)[0][0].key == face.pk
        list_detach_faces(account_id=coded.account.account_id, list_id=coded.row.list_id, face_ids=[face.face_id])
        assert face.pk not in {hit.key for hit in search(coded, asked[:1], 5)[0]}
        key = search(coded, asked[1:2], 1)[0][0].key
        gone = Face.objects.unscoped().get(pk=key)
        face_delete(account_id=coded.account.account_id, face_id=gone.face_id)
        assert key not in {hit.key for hit in search(coded, asked[1:2], 5)[0]}
        assert is_fast(coded)

    def test_exact_unless_asked(self, coded: Cached, configure: Callable[..., None]) -> None:
        configure(MatchingSpeed, fast_from=1, default_speed="exact")
        version = versions.get(VERSION)
        assert not can_serve_fast(coded.candidates(), version)
        candidates = coded.candidates()
        object.__setattr__(candidates, "speed", "fast")
        assert can_serve_fast(candidates, version)
        configure(MatchingSpeed, fast_from=1, default_speed="fast")
        object.__setattr__(candidates, "speed", "exact")
        assert not can_serve_fast(candidates, version)

    @pytest.mark.parametrize("damage", ["cut", "changed", "garbage", "removed", "other"])
    def test_damage_is_healed(self, coded: Cached, asked: Vector, damage: str) -> None:
        (path,) = coded.directory.glob("*.fast")
        data = path.read_bytes()
        path.unlink()
        service().copies.refresh()
        assert not is_fast(coded)
        if damage != "removed":
            other = data.replace(b'"rows": 120', b'"rows": 119')
            changed = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
            path.write_bytes({"cut": data[:-7], "changed": changed, "garbage": b"\0" * 99, "other": other}[damage])
        service().copies.refresh()
        assert not is_fast(coded)
        coded.check(asked)  # exact meanwhile
        build(coded)
        assert is_fast(coded)
        search(coded, asked)

    def test_a_killed_builder_loses_nothing(
        self, coded: Cached, asked: Vector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (path,) = coded.directory.glob("*.fast")
        path.unlink()
        service().copies.refresh()

        class KilledError(BaseException):
            pass

        def killed(*args: object, **kwargs: object) -> None:
            raise KilledError

        with monkeypatch.context() as patched:
            patched.setattr(fast_building, "fast_write", killed)
            with pytest.raises(KilledError):
                build(coded)
        assert "building" in status_of(coded)
        coded.check(asked)
        build(coded)
        assert is_fast(coded)

    def test_a_failure_is_shown_and_repeated_later(self, coded: Cached, monkeypatch: pytest.MonkeyPatch) -> None:
        (path,) = coded.directory.glob("*.fast")
        path.unlink()
        builder = FastBuilder(coded.root, clock=coded.clock)

        def full(*args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(fast_building, "fast_make", full)
            builder.step()
        assert "failed: OSError" in status_of(coded)
        builder.step()
        assert not path.exists()
        coded.clock.now_s += 1000
        builder.step()
        assert "whole: 120 rows" in status_of(coded)

    def test_a_merged_segment_gets_codes_of_its_own(self, coded: Cached, asked: Vector) -> None:
        (before,) = coded.directory.glob("*.fast")
        coded.add(unit_vectors(30, DIMENSION, seed=5))
        coded.build(later_s=100)
        assert not before.exists()
        assert not is_fast(coded)
        build(coded)
        assert is_fast(coded)
        search(coded, asked)

    def test_only_one_builder(self, coded: Cached) -> None:
        with fast_lock(coded.root) as held:
            assert held
            assert not fast_build_once()
        assert fast_build_once()

    def test_command(self, coded: Cached, configure: Callable[..., None]) -> None:
        list_id = str(coded.row.list_id)
        configure(MatchingSpeed, fast_from=None, default_speed="fast")
        build(coded)
        assert not is_fast(coded)
        assert "exact only" in status_of(coded)
        call_command("index", "build", list_id, stdout=StringIO())
        assert "waiting" in status_of(coded)
        build(coded)
        assert "whole: 120 rows" in status_of(coded)
        assert is_fast(coded)
        call_command("index", "drop", list_id, stdout=StringIO())
        service().copies.refresh()
        assert not is_fast(coded)
        with pytest.raises(CommandError, match="Name the list"):
            call_command("index", "build")
        with pytest.raises(CommandError, match="is not in memory"):
            call_command("index", "build", "00000000-0000-4000-8000-000000000000")

    def test_deleted_lists_are_forgotten(self, coded: Cached) -> None:
        call_command("index", "build", str(coded.row.list_id), stdout=StringIO())
        coded.build()
        (asked,) = (coded.root / ASKED).iterdir()
        list_delete(account_id=coded.account.account_id, list_id=coded.row.list_id)
        coded.build()
        assert not asked.exists()

    def test_memory_limit_counts_them(self, coded: Cached, configure: Callable[..., None]) -> None:
        size = 120 * (DIMENSION + DIMENSION * 5 // 16 + 28)
        configure(DescriptorsCache, smallest_list=1, memory_limit=size)
        assert lists_wanted()[1] == 1
        configure(MatchingSpeed, fast_from=None)
        assert lists_wanted()[1] == 0


def status_of(rows: Cached) -> str:
    out = StringIO()
    call_command("index", "status", stdout=out)
    return out.getvalue()
