"""A sample of the inputs of `python -m tests.fuzz`."""

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.run import FuzzError, feed
from tests.fuzz.targets import TARGETS, Target

INPUTS = 150


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_input_never_crashes(name: str) -> None:
    feed(name, range(INPUTS))


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_understood(name: str) -> None:
    """Or nothing behind the first check would be reached."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].call(seed)


def test_a_crash_is_told_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = {"seed": 0}
    monkeypatch.setitem(TARGETS, "bad", Target([b"seed"], lambda data: crash[data.decode("latin-1")], 1))
    with pytest.raises(FuzzError, match="bad, input 7: KeyError"):
        feed("bad", range(7, 9))


def test_a_number_makes_the_same_input_again() -> None:
    seeds = TARGETS["PNG"].seeds
    assert [mutated(seeds, number) for number in range(50)] == [mutated(seeds, number) for number in range(50)]
    assert len({mutated(seeds, number) for number in range(50)}) > 45
