"""`python -m tests.fuzz [count [first]]`: feed `count` (100,000) damaged inputs to all targets and report the results.

Each target runs in a process of its own, so that a crash is attributed to its target.
"""

import multiprocessing
import os
import sys
import time
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main(count: int = 100_000, first: int = 0) -> int:
    django.setup()
    from tests.fuzz.targets import TARGETS

    shares = sum(target.share for target in TARGETS.values())
    failed = fed = 0
    for name, target in TARGETS.items():
        numbers = range(first, first + round(count * target.share / shares))
        started = time.perf_counter()
        ended, last = _in_process(name, numbers)
        fed += last - first + 1
        verdict = "ok" if ended == 0 else f"FAILED at input {last} (exit code {ended})"
        failed += ended != 0
        print(f"{name:<26}{len(numbers):>8} inputs{time.perf_counter() - started:>8.1f} s  {verdict}", flush=True)
    print(f"{fed} inputs, {failed} of {len(TARGETS)} targets failed")
    return int(failed > 0)


def _in_process(name: str, numbers: range) -> tuple[int, int]:
    last = multiprocessing.Value("q", numbers.start)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(name, numbers, last))
    process.start()
    process.join()
    return process.exitcode or 0, last.value


def _work(name: str, numbers: range, last: Any) -> None:
    from tests.fuzz.run import FuzzError, feed

    def note(number: int) -> None:
        last.value = number

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libtiff tells of every damage
    try:
        feed(name, numbers, note)
    except FuzzError as error:
        print(error)
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
