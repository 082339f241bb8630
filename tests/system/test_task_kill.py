"""`kill -9` of every process at each stage of background tasks, and their cancellation at each stage.

The suite kills twice. `LUNA_TASK_KILLS=100 pytest -s tests/system/test_task_kill.py` kills more often, with
`LUNA_TASK_KILLED=postgres,redis` only these.
"""

import itertools
import os
import random
import signal
import time
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from luna.embedded.processes import wait_until
from tests.system.helpers import Platform, pids, wait_healthy

KILLS = int(os.environ.get("LUNA_TASK_KILLS", "2"))
KILLED = os.environ.get("LUNA_TASK_KILLED", "worker,postgres,redis,web-1,beat").split(",")
SUBTASKS, STEPS, PAUSE_S = 4, 10, 0.15
LEASE_S = 10.0
PENDING, IN_PROGRESS, CANCELLED, FAILED, COLLECTING, DONE = range(6)


@pytest.fixture
def account(platform: Platform) -> Iterator[httpx.Client]:
    wait_healthy(platform)
    login, password = f"{uuid.uuid4()}@luna.test", "kill-it-with-nine"
    with httpx.Client(base_url=platform.url, auth=(login, password), timeout=60) as client:
        body = {"login": login, "password": password, "account_type": "user"}
        assert client.post("/6/accounts", json=body).status_code == 201
        yield client


def create(client: httpx.Client, **content: Any) -> str:
    answer = client.post("/6/tasks/census", json={"content": content})
    assert answer.status_code == 202, answer.text
    url: str = answer.json()["url"]
    return url


def read(client: httpx.Client, url: str) -> dict[str, Any] | None:
    """The task; None while the platform does not answer."""
    try:
        answer = client.get(url, timeout=3)  # a request may wait for a process that was killed
    except httpx.TransportError:
        return None
    found: dict[str, Any] | None = answer.json() if answer.status_code == 200 else None
    return found


def wait_for(client: httpx.Client, url: str, statuses: set[int], *, within_s: float, done: int = 0) -> dict[str, Any]:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        task = read(client, url)
        if task is not None and task["task_status"] in statuses and task["count_task_parts_done"] >= done:
            return task
        time.sleep(0.05)
    raise AssertionError(f"{read(client, url)} does not reach {statuses} within {within_s} s")


def check_whole(client: httpx.Client, url: str) -> None:
    """The result, the errors and the faces are those of an undisturbed task."""
    numbers = [subtask * 1000 + step for subtask in range(SUBTASKS) for step in range(STEPS)]
    result = client.get(f"{url}/result").json()
    assert result["result"] == numbers
    odd = [number for number in numbers if number % 2]
    assert sorted(int(each["additional_info"]) for each in result["errors"]) == odd
    faces: list[int] = []
    for page in itertools.count(1):
        found = client.get("/6/faces", params={"page": page, "page_size": 100}).json()["faces"]
        if not found:
            break
        faces += [int(each["external_id"]) for each in found]
    assert sorted(faces) == numbers


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * KILLS)
def test_a_task_survives_kills_at_each_stage(platform: Platform, account: httpx.Client) -> None:
    """Each task is disturbed at a stage by the death of one process: before, within and after its subtasks."""
    chance = random.Random(13)
    places = itertools.cycle([(PENDING, 0), (IN_PROGRESS, 0), (IN_PROGRESS, 7), (IN_PROGRESS, 30), (COLLECTING, 0)])
    log = []
    for number, name in zip(range(KILLS), itertools.cycle(KILLED), strict=False):
        # Five processes and five stages: a kill of each process at each stage within 25 kills.
        status, done = next(places) if number % len(KILLED) else (next(places), next(places))[1]
        client = account
        url = create(client, subtasks=SUBTASKS, steps=STEPS, pause_s=PAUSE_S)
        wait_for(client, url, {*range(status, FAILED), COLLECTING, DONE}, within_s=30, done=done)
        time.sleep(chance.random() * PAUSE_S)
        os.kill(pids(platform)[name], signal.SIGKILL)
        began = time.monotonic()
        task = wait_for(client, url, {CANCELLED, FAILED, DONE}, within_s=90)
        log.append(f"{name} at {status}/{done}: {time.monotonic() - began:.1f} s")
        print(log[-1], flush=True)
        assert task["task_status"] == DONE, (log, task)
        check_whole(client, url)
        faces = [each["face_id"] for each in client.get("/6/faces", params={"page_size": 100}).json()["faces"]]
        assert client.request("DELETE", "/6/faces", json={"face_ids": faces}).status_code == 204
        assert client.delete(url).status_code == 204
        wait_healthy(platform)


@pytest.mark.slow
def test_cancellation_takes_effect_at_once(platform: Platform, account: httpx.Client) -> None:
    """In the split, in a subtask and in the merge: a stage ends before its last step, and no face appears later."""
    for status, done, content in (
        (PENDING, 0, {"subtasks": 1, "steps": 1, "pause_s": 0.0}),
        (IN_PROGRESS, 0, {"subtasks": 100, "steps": 1, "pause_s": 0.3}),
        (IN_PROGRESS, 1, {"subtasks": 2, "steps": 100, "pause_s": 0.3}),
        (COLLECTING, 0, {"subtasks": 8, "steps": 1, "pause_s": 0.3}),
    ):
        counts = [faces_count(account)]
        url = create(account, **content)
        if status != PENDING:
            wait_for(account, url, {status}, within_s=30, done=done)
        answer = account.patch(url)
        if status == PENDING and answer.status_code == 400:  # a worker was faster
            continue
        assert answer.status_code == 204, answer.text
        task = wait_for(account, url, {CANCELLED}, within_s=15)
        assert task["end_time"] is not None
        assert wait_until(partial(is_still, account, counts), 15), counts
        steps = content["subtasks"] * content["steps"]
        assert counts[-1] - counts[0] <= (steps if status == COLLECTING else steps // 2), counts


def faces_count(client: httpx.Client) -> int:
    count: int = client.get("/6/faces/count").json()["faces_count"]
    return count


def is_still(client: httpx.Client, counts: list[int]) -> bool:
    """Whether no face appears within some steps."""
    before = faces_count(client)
    time.sleep(1)
    counts.append(faces_count(client))
    return counts[-1] == before
