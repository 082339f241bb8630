"""Damages well-formed input, the same way for the same number."""

import random
from collections.abc import Sequence

MAX_EDITS = 6
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HEADER_BYTES = 64  # where sizes, counts and types stand


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """The `number`-th damaged input: one of the seeds with one to six edits, half of them near its beginning."""
    dice = random.Random(number)
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.randint(1, MAX_EDITS)):
        _edit(data, seeds, dice)
    return bytes(data)


def _edit(data: bytearray, seeds: Sequence[bytes], dice: random.Random) -> None:
    end = min(len(data), HEADER_BYTES) if dice.random() < 0.5 else len(data)
    at = dice.randrange(end + 1)
    kind = dice.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << dice.randrange(8)
    elif kind == 1:
        data[at : at + 1] = dice.randbytes(1)
    elif kind == 2:
        size, order = dice.choice((1, 2, 4)), dice.choice(("little", "big"))
        value = dice.choice(EDGES) % (1 << 8 * size)
        data[at : at + size] = value.to_bytes(size, "little" if order == "little" else "big")
    elif kind == 3:
        del data[at : at + dice.choice((1, 2, 8, 100))]
    elif kind == 4:
        data[at:at] = data[at : at + dice.choice((1, 4, 32))] * dice.choice((1, 2, 50))
    elif kind == 5:
        other = dice.choice(seeds)
        start = dice.randrange(len(other) + 1)
        data[at : at + dice.choice((0, 16, 64))] = other[start : start + dice.choice((4, 16, 64))]
    elif dice.random() < 0.3:
        del data[at:]
