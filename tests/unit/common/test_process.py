"""Objects that exist once per process: at the first use, after a fork, at the end."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.common import process
from apps.common.process import PerProcess


class Thing:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_it_is_made_once_at_the_first_use() -> None:
    made: list[Thing] = []

    def make() -> Thing:
        time.sleep(0.02)  # so that all threads ask before there is one
        made.append(Thing())
        return made[-1]

    thing = PerProcess("thing", make)
    assert (thing.value, thing.status()) == (None, None)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: thing(), range(32)))
    assert len(made) == 1
    assert set(found) == {made[0]}


def test_what_cannot_be_made_is_tried_again() -> None:
    attempts: list[int] = []

    def make() -> str:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("no device")
        return "made"

    thing = PerProcess("thing", make)
    with pytest.raises(RuntimeError):
        thing()
    assert thing() == "made"


def test_a_closed_one_is_closed_once_and_made_anew() -> None:
    thing = PerProcess("thing", Thing, close=Thing.close)
    thing.close()  # nothing to close yet
    first = thing()
    thing.close()
    thing.close()
    assert first.closed == 1
    assert thing() is not first


def test_status_is_by_name() -> None:
    thing = PerProcess("a thing of this test", Thing, status=lambda made: {"closed": made.closed})
    assert process.status()[thing.name] is None
    thing()
    assert process.status()[thing.name] == {"closed": 0}


def in_child(check: Callable[[], bool]) -> int:
    """The exit status of a forked child that runs `check`."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_makes_its_own() -> None:
    thing = PerProcess("thing", Thing, close=Thing.close)
    mine = thing()
    assert in_child(lambda: thing.value is None and thing() is not mine and thing().pid == os.getpid()) == 0
    assert thing() is mine
    assert mine.closed == 0


def test_a_lock_that_is_held_at_the_fork_does_not_stop_the_child() -> None:
    begun, go = threading.Event(), threading.Event()

    def make() -> Thing:
        begun.set()
        go.wait(10)
        return Thing()

    thing = PerProcess("thing", make)
    maker = threading.Thread(target=thing)
    maker.start()
    begun.wait(10)
    child = os.fork()
    if child == 0:
        go.set()
        os._exit(0 if thing().pid == os.getpid() else 1)
    deadline = time.monotonic() + 10
    ended = 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if not ended:
        os.kill(child, 9)
        os.waitpid(child, 0)
    go.set()
    maker.join()
    assert ended == child, "the child waits for its parent's lock"
    assert os.waitstatus_to_exitcode(status) == 0


def test_it_is_closed_when_the_process_ends() -> None:
    program = (
        "from apps.common.process import PerProcess\n"
        "made = PerProcess('made', lambda: 'closed at the end', close=print)\n"
        "never = PerProcess('never', lambda: 'never made', close=print)\n"
        "made()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "closed at the end\n"


def test_what_the_rooms_hold_is_in_the_status() -> None:
    import apps.imagestore.storage
    import apps.recognition.run.facade
    import apps.sender.consumers
    import apps.sender.delivery.deliverer  # noqa: F401

    names = {"recognition engine", "pictures", "notifications", "callbacks", "websockets", "disk syncs"}
    assert names <= set(process.status())


def test_a_closed_publisher_and_waker_end_their_threads() -> None:
    from apps.common.wakeups import Waker
    from apps.sender.publisher import Publisher

    before = set(threading.enumerate())
    publisher, waker = Publisher(), Waker("luna:test")
    mine = set(threading.enumerate()) - before
    assert len(mine) == 2
    publisher.close()
    waker.close()
    for thread in mine:
        thread.join(5)
    assert not any(thread.is_alive() for thread in mine)
