"""`kill -9` of every process at each stage of tasks of all types, their cancellation at each stage, and schedules.

Each round executes a task of each type in an account of its own, and kills a process in each stage. What the tasks
leave is compared with what is expected, and with an undisturbed round. By name only:
`LUNA_TYPE_KILLS=100 LUNA_TYPES=all LUNA_TYPE_SEED=1 pytest -s tests/system/test_type_kills.py`.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from luna.embedded.addresses import CHECKOUT
from tests.system.conftest import BY_NAME
from tests.system.helpers import Platform, pids, wait_healthy
from tests.system.type_cases import (
    CASES,
    DONE,
    Bench,
    Case,
    begin,
    check_expected,
    client_of,
    create,
    opened,
    prepare,
    result_of,
    wait_for,
)

KILLS = int(os.environ.get("LUNA_TYPE_KILLS", "0"))
SEED = int(os.environ.get("LUNA_TYPE_SEED", "13"))
STAGES = ("split", "process", "merge", "notification")
TYPES_A_ROUND = 4
KILLED = ("worker", "postgres", "redis", "web-1", "beat", "second worker")
CHOSEN = os.environ.get("LUNA_TYPES", "all")
NAMES = [*CASES] if CHOSEN == "all" else CHOSEN.split(",")
SCHEDULES = 6
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BY_NAME, reason="by name, with LUNA_TYPE_KILLS")]
COMPARED = ("faces", "links", "events", "objects", "descriptors", "task", "subtasks")


@pytest.fixture(scope="module")
def bench(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with opened(platform, tmp_path_factory.mktemp("pictures")) as found:
        yield found


class SecondWorker:
    """Another worker on the queue, which is started again when it was killed."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None or self._process.poll() is not None:
            options = (
                "--pool",
                "threads",
                "--concurrency",
                "2",
                "--without-gossip",
                "--without-mingle",
                "-n",
                "second",
            )
            log = (self._platform.var / "log" / "second.log").open("ab")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "luna.celery", "worker", *options],
                env={**self._platform.environment, "LUNA_EXTERNAL_ADDRESS": self._platform.url, "OMP_NUM_THREADS": "1"},
                cwd=CHECKOUT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture
def second(platform: Platform) -> Iterator[SecondWorker]:
    worker = SecondWorker(platform)
    yield worker
    worker.close()


def finish(bench: Bench, case: Case) -> tuple[dict[str, Any], Any]:
    """Wait for the end of a task and of its callbacks, check both, and return what it left."""
    found = wait_for(bench, case.task_id)
    assert found["status"] == DONE, (case.name, found, failures_of(bench))
    wait_healthy(bench.platform)
    known = bench.agent("names", account_id=case.world["account_id"])
    # Deleted objects, by their order in the seed.
    seeded = {
        each: f"{letter}{number}"
        for letter, kind in (("f", "face_ids"), ("e", "event_ids"))
        for number, each in enumerate(case.world[kind])
    }
    result = result_of(case, known | seeded)
    state = delivered(bench, case)
    assert (state["orphans"], state["double_deletions"]) == (0, 0), (case.name, state)
    assert state["outputs_of_unfinished"] == 0
    assert all(status == DONE and done == total and not leased for status, done, total, _, leased in state["subtasks"])
    check_expected(case, state, result)
    check_callbacks(bench, case, state)
    return state, result


def failures_of(bench: Bench) -> str:
    """Return the last traceback in the logs of the workers."""
    texts = [(bench.platform.var / "log" / f"{name}.log") for name in ("worker", "second")]
    return "\n".join(each.read_text().rpartition("Traceback")[2][:3000] for each in texts if each.exists())


def delivered(bench: Bench, case: Case) -> dict[str, Any]:
    """Return the state once all callbacks of a task are delivered. Those of a killed worker wait for their lease."""
    end = time.monotonic() + 60
    while True:
        state: dict[str, Any] = bench.agent("state", account_id=case.world["account_id"], task_id=case.task_id)
        if not state["callbacks_left"]:
            return state
        assert time.monotonic() < end, (case.name, bench.agent("waiting", task_id=case.task_id))
        time.sleep(0.2)


def check_callbacks(bench: Bench, case: Case, state: dict[str, Any]) -> None:
    """Each change of the task and of its subtasks is reported by one callback."""
    found = {key: ids for key, ids in bench.receiver.changes.items() if key[0] == case.task_id}
    assert all(len(ids) == 1 for ids in found.values()), (case.name, found)
    of_task = Counter(status for _, subtask, status in found if subtask is None)
    of_subtasks = Counter(status for _, subtask, status in found if subtask is not None)
    ended = Counter(status for status, *_ in state["subtasks"])
    begun = of_subtasks.pop(1, 0)
    assert of_subtasks == ended, (case.name, found)
    if state["task"][0] == DONE:
        subtasks = len(state["subtasks"])
        assert of_task == Counter({1: 1, DONE: 1}) + Counter({4: 1} if subtasks > 1 else {}), (case.name, found)
        assert begun == subtasks, (case.name, found)
    else:
        assert of_task[state["task"][0]] == 1, (case.name, found)


def directories_end(bench: Bench, within_s: float) -> float:
    """Wait until no stage has a temporary directory. Return the seconds."""
    began = time.monotonic()
    folder = Path(bench.platform.var) / "tasks"
    while folder.exists() and [*folder.iterdir()]:
        assert time.monotonic() - began < within_s, [*folder.iterdir()]
        time.sleep(0.01)
    return time.monotonic() - began


def stages_end(bench: Bench, within_s: float) -> None:
    """Wait until no task and no subtask is unfinished, and no stage has a temporary directory.

    A subtask that a worker claims at the moment of the cancellation has no directory yet; its worker cancels it.
    """
    end = time.monotonic() + within_s
    while bench.agent("unfinished"):
        assert time.monotonic() < end
        time.sleep(0.01)
    directories_end(bench, within_s)


def differences(left: tuple[dict[str, Any], Any], expected: tuple[dict[str, Any], Any]) -> dict[str, Any]:
    """Return the members of what a task left that differ, with both values."""
    found, wanted = ({**state, "result": result} for state, result in (left, expected))
    return {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}


def stages_now(bench: Bench, cases: list[Case]) -> dict[str, str]:
    """Return the stage of each task by the name of its case."""
    found: dict[str, str] = bench.agent("stages", task_ids=[case.task_id for case in cases])
    return {case.name: found[str(case.task_id)] for case in cases}


def wait_stage(bench: Bench, cases: list[Case], target: Case, stage: str) -> dict[str, str]:
    """Wait until the task is in the stage, or behind it. Return the stages of all."""
    end = time.monotonic() + 90
    while True:
        found = stages_now(bench, cases)
        if found[target.name] == "ended" or STAGES.index(found[target.name]) >= STAGES.index(stage):
            return found
        assert time.monotonic() < end, (target.name, stage, found)


def pid_of(bench: Bench, second: SecondWorker, process: str) -> int:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process == KILLED[-1]:
            return second.pid()
        with suppress(KeyError):  # it starts again
            return pids(bench.platform)[process]
    raise AssertionError(process)


class Killer:
    """Kills each process in each stage, aimed at each type in turn."""

    def __init__(self, bench: Bench, second: SecondWorker, merging: list[str]) -> None:
        self.bench, self.second = bench, second
        self.chance = random.Random(SEED)
        self.kills = 0
        self.log: Counter[tuple[str, str]] = Counter()  # unfinished tasks at a kill, by type and stage
        self.processes: Counter[tuple[str, str]] = Counter()
        self._merging = merging
        self._names = itertools.cycle(self.chance.sample(NAMES, len(NAMES)))

    def round(self, number: int) -> list[Case]:
        """Create tasks of the next types, and kill a process in each stage."""
        names = list(itertools.islice(self._names, min(TYPES_A_ROUND, len(NAMES))))
        cases = {name: prepare(self.bench, name) for name in names}
        merging = [name for name in names if name in self._merging]
        plan = [(stage, KILLED[(number + 2 * index) % len(KILLED)]) for index, stage in enumerate(STAGES)]
        for stage, process in plan[: KILLS - self.kills]:
            self.second.start()
            target = cases[self.chance.choice(merging if stage == "merge" and merging else names)]
            pid = pid_of(self.bench, self.second, process)
            if stage == "split":
                for case in [*(each for each in cases.values() if each is not target), target]:
                    create(self.bench, case)
            self.kill(wait_stage(self.bench, [*cases.values()], target, stage), cases, process, pid)
        return [*cases.values()]

    def kill(self, stages: dict[str, str], cases: dict[str, Case], process: str, pid: int) -> None:
        time.sleep(self.chance.random() * 0.1)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.kills += 1
        for name, stage in stages.items():
            if stage != "ended":
                self.log[cases[name].kind, stage] += 1
                self.processes[process, stage] += 1


@pytest.mark.timeout(300 + 90 * KILLS)
def test_tasks_of_all_types_survive_kills(bench: Bench, second: SecondWorker) -> None:
    began = time.monotonic()
    undisturbed = {case.name: finish(bench, case) for case in [begin(bench, name) for name in NAMES]}
    print(f"undisturbed: {time.monotonic() - began:.1f} s", flush=True)
    faults = []
    killer = Killer(bench, second, [name for name, left in undisturbed.items() if len(left[0]["subtasks"]) > 1])
    for number in itertools.count():
        if killer.kills >= KILLS:
            break
        began = time.monotonic()
        for case in killer.round(number):
            if wrong := differences(finish(bench, case), undisturbed[case.name]):
                faults.append((SEED, killer.kills, case.name, wrong))
                print(faults[-1], flush=True)
            case.client.close()
        print(f"{killer.kills} kills, round of {time.monotonic() - began:.1f} s", flush=True)
    assert not faults
    assert bench.agent("unfinished") == 0
    directories_end(bench, 25)  # workers remove the directories of killed ones every ten seconds
    for table in (killer.log, killer.processes):
        print(
            *(f"{name:20} {stage:13} {count}" for (name, stage), count in sorted(table.items())), sep="\n", flush=True
        )
    assert "No faults found" in bench.agent("fsck")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["estimator zip", "estimator ftp", "additional_extract", "exporter faces"])
def test_a_worker_that_is_stopped_gives_its_stages_back(bench: Bench, name: str) -> None:
    """As an update or a restart stops it, while other threads recognise and read pictures for a stage."""
    case = begin(bench, name)
    wait_stage(bench, [case], case, "process")
    os.kill(pids(bench.platform)["worker"], signal.SIGTERM)
    finish(bench, case)
    case.client.close()


@pytest.mark.timeout(60 + 90 * len(NAMES))
def test_cancellation_of_all_types(bench: Bench) -> None:
    """In each stage of each type: its stages end, and leave no file behind, within 1 s."""
    chance, worst, hit = random.Random(SEED), Counter[str](), Counter[str]()
    directories_end(bench, 25)
    for name, stage in itertools.product(NAMES, STAGES[:-1]):
        case = prepare(bench, name)
        create(bench, case)
        found = wait_stage(bench, [case], case, stage)[name]
        time.sleep(chance.random() * 0.1)
        began = time.monotonic()
        if name == "additional_extract":
            bench.agent("cancel", task_id=case.task_id)
        else:
            answer = case.client.patch(f"/6/tasks/{case.task_id}")
            assert answer.status_code in (204, 400), answer.text
        stages_end(bench, 3)
        took = int(1000 * (time.monotonic() - began))
        worst[name] = max(worst[name], took)
        hit[found] += 1
        state = bench.agent("state", account_id=case.world["account_id"], task_id=case.task_id)
        time.sleep(0.3)
        after = delivered(bench, case)
        assert {each: state[each] for each in COMPARED} == {each: after[each] for each in COMPARED}
        assert state["orphans"] == 0
        assert state["task"][0] in (2, DONE)
        assert all(each[0] in (2, DONE) and not each[4] for each in state["subtasks"]), state
        check_callbacks(bench, case, after)
        case.client.close()
    print({name: f"{number} ms" for name, number in worst.items()}, dict(hit), flush=True)
    assert max(worst.values()) <= 1000


@pytest.mark.timeout(900)
def test_schedules_lose_and_double_no_run(bench: Bench, second: SecondWorker) -> None:
    """A process is killed while runs are created: each schedule creates one task each time it is due."""
    chance = random.Random(SEED)
    world = bench.agent("seed")
    with client_of(bench.platform, world) as client:
        ids = []
        for _ in range(SCHEDULES):
            task = {"task_type": "pieces", "content": {"value": 7}}
            answer = client.post("/6/tasks/schedules", json={"task": task, "trigger": {"cron": "0 0 1 1 *"}})
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["schedule_id"])
    second.start()
    for number, process in enumerate(("beat", "worker", "second worker", "postgres", "redis", "beat") * 2, 1):
        second.start()
        bench.agent("schedules_due", schedule_ids=ids)
        pid = pid_of(bench, second, process)
        left = chance.randrange(1, SCHEDULES + 1)  # of the schedules are due at the kill
        end = time.monotonic() + 60
        while bench.agent("schedules_left", schedule_ids=ids) > left:
            assert time.monotonic() < end
        os.kill(pid, signal.SIGKILL)
        while bench.agent("schedules_left", schedule_ids=ids):
            assert time.monotonic() < end + 60
            time.sleep(0.1)
        counts = bench.agent("schedules_runs", schedule_ids=ids)
        assert counts == {str(each): number for each in ids}, (process, number, counts)
        print(f"{process} killed with {left} of {SCHEDULES} schedules due", flush=True)
    end = time.monotonic() + 60
    while bench.agent("unfinished"):
        assert time.monotonic() < end
        time.sleep(0.2)
