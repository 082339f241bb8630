"""Recognition in workers: threads of low priority, one batch at a time on a GPU, and patience."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.common.processors import lower_priority
from apps.recognition.config import BackgroundRecognition, Runtime
from apps.recognition.engine.batching import Batcher
from apps.recognition.run import facade, share

Configure = Callable[..., None]
CODE = """
import os
from apps.recognition.run import share
share.recognise_in_background()
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(1, initializer=share.yielding) as pool:
    nice = pool.submit(lambda: ThreadPoolExecutor(1).submit(os.getpriority, os.PRIO_PROCESS, 0).result()).result()
print(nice, os.getpriority(os.PRIO_PROCESS, 0))
"""


@pytest.fixture
def in_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "_in_background", True)


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_only_the_calling_thread_yields() -> None:
    before = niceness()
    with ThreadPoolExecutor(1, initializer=lower_priority, initargs=(before + 1,)) as pool:
        assert pool.submit(niceness).result() == min(before + 1, 19)
        pool.submit(lower_priority, 0).result()
        assert pool.submit(niceness).result() == min(before + 1, 19)
    assert niceness() == before


def test_threads_of_the_engine() -> None:
    before = niceness()
    found: list[int] = []
    batcher = Batcher(lambda *_: [], {}, workers=1, queue_rows=1, prepare=lambda: lower_priority(before + 1))
    batcher.everywhere(lambda: found.append(niceness()))
    batcher.close()
    assert found == [min(before + 1, 19)]


@pytest.mark.usefixtures("in_background")
class TestWorker:
    def test_engine(self, configure: Configure) -> None:
        configure(BackgroundRecognition, niceness=7, num_threads=0)
        found = facade._config()
        assert (found.niceness, found.threads, found.run_threads, found.deadline_s) == (7, 0, 1, share.DEADLINE_S)

    def test_engine_on_a_gpu_has_one_batch_at_a_time(self, configure: Configure) -> None:
        configure(Runtime, global_device_class="cuda", num_threads=4)
        assert facade._config().threads == 1
        configure(BackgroundRecognition, num_threads=3)
        assert facade._config().threads == 3


def test_requests_do_not_yield(configure: Configure) -> None:
    configure(Runtime, num_threads=4)
    found = facade._config()
    assert (found.niceness, found.threads) == (0, 4)


def test_a_worker_process() -> None:
    """Threads that a thread of recognition starts inherit its priority; the process keeps its own."""
    environment = os.environ | {"LUNA_TASKS_NICENESS": "19"}
    code = f"import django; django.setup()\n{CODE}"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["19", str(niceness())]
