"""The rows of tasks and subtasks as a queue of all workers: claims with leases, renewals, releases.

A claim writes a new token. Every write of a stage requires its token, so a worker that outlived its lease writes
nothing. Times are those of the database.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from django.db import connection

from apps.tasks.choices import TaskStatus

LEASE_S = 10.0
MAX_ATTEMPTS = 5  # expired leases, and failures that may pass, without a checkpoint between them
FIRST_PAUSE_S = 1.0  # before a stage is tried again; doubled each time
NO_ACCOUNT = UUID(int=0)  # in comparisons: the account of a task of all accounts

PENDING, IN_PROGRESS, CANCELLED, FAILED, COLLECTING, DONE = (int(status) for status in TaskStatus)


class Stage(StrEnum):
    """The stages of a task, in the order of their claims for one account."""

    SPLIT = "split"
    MERGE = "merge"
    PROCESS = "process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A stage that this worker may execute until its lease ends.

    `key`: the id of the subtask for `PROCESS`, else of the task. `former`: the token of the lease that expired.
    `attempts`: expired leases and failures since the last checkpoint.
    """

    stage: Stage
    task_id: int
    key: int
    account_id: UUID | None
    token: UUID
    former: UUID | None
    attempts: int

    @property
    def subtask_id(self) -> int | None:
        return self.key if self.stage is Stage.PROCESS else None


_LEASE = f"clock_timestamp() + {LEASE_S} * interval '1 second'"
_FREE = "({0}.lease_time IS NULL OR {0}.lease_time < clock_timestamp())"
_RUNNING = f"""
    SELECT account_id, count(*) AS number FROM (
        SELECT task.account_id FROM tasks_subtask AS subtask JOIN tasks_task AS task USING (task_id)
        WHERE subtask.subtask_status = {IN_PROGRESS} AND subtask.lease_time >= clock_timestamp()
        UNION ALL
        SELECT account_id FROM tasks_task
        WHERE task_status IN ({IN_PROGRESS}, {COLLECTING}) AND lease_time >= clock_timestamp()
    ) AS unit GROUP BY account_id
"""  # noqa: S608 (our own constants)
# The position of a task's account among those that were served last, 0 for the others.
_SERVED = f"coalesce(array_position(%(served)s::uuid[], coalesce(task.account_id, '{NO_ACCOUNT}')), 0)"
# A task in progress without a lease has been split.
_SPLITS = f"(task.task_status = {PENDING} OR (task.task_status = {IN_PROGRESS} AND task.lease_token IS NOT NULL))"
_MERGES = f"task.task_status = {COLLECTING}"
_PROCESSES = f"""task.task_status = {IN_PROGRESS} AND task.lease_token IS NULL
    AND coalesce(task.account_id, '{NO_ACCOUNT}') <> ALL(%(excluded)s::uuid[])"""
# The accounts with the fewest running stages first: tasks of one account never delay all stages of the others.
DUE = f"""
WITH running AS ({_RUNNING}),
task AS MATERIALIZED (
    SELECT task.*, coalesce(running.number, 0) AS number, {_SERVED} AS served
    FROM tasks_task AS task LEFT JOIN running ON running.account_id IS NOT DISTINCT FROM task.account_id
    WHERE task_status IN ({PENDING}, {IN_PROGRESS}, {COLLECTING})
),
due AS (
    SELECT '{Stage.SPLIT}' AS stage, 1 AS place, number, served FROM task WHERE {_SPLITS} AND {_FREE.format("task")}
    UNION ALL
    SELECT '{Stage.MERGE}', 2, number, served FROM task WHERE {_MERGES} AND {_FREE.format("task")}
    UNION ALL
    SELECT '{Stage.PROCESS}', 3, number, served FROM task WHERE {_PROCESSES} AND EXISTS (
        SELECT FROM tasks_subtask AS one
        WHERE one.task_id = task.task_id AND one.subtask_status IN ({PENDING}, {IN_PROGRESS}) AND {_FREE.format("one")}
    )
),
first AS (SELECT DISTINCT ON (place) * FROM due ORDER BY place, number, served)
SELECT stage FROM first ORDER BY number, served, place
"""  # noqa: S608 (our own constants)


def _claim_of_task(condition: str, status: int) -> str:
    return f"""
WITH running AS ({_RUNNING}),
chosen AS (
    SELECT task.task_id, task.lease_token FROM tasks_task AS task
    LEFT JOIN running ON running.account_id IS NOT DISTINCT FROM task.account_id
    WHERE {condition} AND {_FREE.format("task")}
    ORDER BY coalesce(running.number, 0), {_SERVED}, task.task_id LIMIT 1 FOR NO KEY UPDATE OF task SKIP LOCKED
)
UPDATE tasks_task AS task
SET task_status = {status}, lease_token = %(token)s, lease_time = {_LEASE}, last_update_time = clock_timestamp(),
    attempts = task.attempts + (chosen.lease_token IS NOT NULL)::int
FROM chosen WHERE task.task_id = chosen.task_id
RETURNING task.task_id, task.task_id, task.account_id, chosen.lease_token, task.attempts
"""  # noqa: S608 (our own constants)


SPLIT = _claim_of_task(_SPLITS, IN_PROGRESS)
MERGE = _claim_of_task(_MERGES, COLLECTING)
# Candidates are read without locks, a few of each task, so that workers that claim at the same time find others.
PROCESS = f"""
WITH running AS ({_RUNNING}),
candidates AS MATERIALIZED (
    SELECT subtask.subtask_id, task.task_id, task.account_id, coalesce(running.number, 0) AS number,
        {_SERVED} AS served
    FROM tasks_task AS task
    LEFT JOIN running ON running.account_id IS NOT DISTINCT FROM task.account_id
    CROSS JOIN LATERAL (
        SELECT subtask_id FROM tasks_subtask AS one
        WHERE one.task_id = task.task_id AND one.subtask_status IN ({PENDING}, {IN_PROGRESS})
            AND {_FREE.format("one")}
        ORDER BY subtask_id LIMIT 4
    ) AS subtask
    WHERE {_PROCESSES}
    ORDER BY number, served, task_id, subtask_id LIMIT 32
),
chosen AS (
    SELECT subtask.subtask_id, subtask.lease_token, candidates.account_id
    FROM candidates JOIN tasks_subtask AS subtask USING (subtask_id)
    WHERE subtask.subtask_status IN ({PENDING}, {IN_PROGRESS}) AND {_FREE.format("subtask")}
    ORDER BY candidates.number, candidates.served, candidates.task_id, subtask_id LIMIT 1
    FOR NO KEY UPDATE OF subtask SKIP LOCKED
)
UPDATE tasks_subtask AS subtask
SET subtask_status = {IN_PROGRESS}, lease_token = %(token)s, lease_time = {_LEASE},
    attempts = subtask.attempts + (chosen.lease_token IS NOT NULL)::int
FROM chosen WHERE subtask.subtask_id = chosen.subtask_id
RETURNING subtask.task_id, subtask.subtask_id, chosen.account_id, chosen.lease_token, subtask.attempts
"""  # noqa: S608 (our own constants)
CLAIMS: Mapping[Stage, str] = {Stage.SPLIT: SPLIT, Stage.MERGE: MERGE, Stage.PROCESS: PROCESS}


def claim(*, excluded: Collection[UUID | None] = (), served: Sequence[UUID | None] = ()) -> Unit | None:
    """Claim the most urgent stage, or return None if none is due.

    The account with the fewest running stages is next, then the one that was served least recently, then the stages
    in their order, then the oldest task. `excluded`: accounts whose subtasks are left. `served`: accounts, that of the
    last claim last.
    """
    accounts = {
        "excluded": [each or NO_ACCOUNT for each in excluded],
        "served": [each or NO_ACCOUNT for each in served],
    }
    with connection.cursor() as cursor:
        cursor.execute(DUE, accounts)
        due = [Stage(stage) for (stage,) in cursor]
    for stage in due:
        token = uuid4()
        with connection.cursor() as cursor:
            cursor.execute(CLAIMS[stage], {"token": token, **accounts})
            row = cursor.fetchone()
        if row is not None:
            task_id, key, account_id, former, attempts = row
            return Unit(
                stage=stage,
                task_id=task_id,
                key=key,
                account_id=account_id,
                token=token,
                former=former,
                attempts=attempts,
            )
    return None


# The lock of a row means that its worker stores a checkpoint or an end: its lease is renewed with that.
RENEW_SUBTASKS = f"""
UPDATE tasks_subtask AS subtask
SET lease_time = {_LEASE}, parts_done = coalesce(mine.parts_done, subtask.parts_done),
    parts_all = coalesce(mine.parts_all, subtask.parts_all)
FROM (
    SELECT subtask_id, given.parts_done, given.parts_all FROM tasks_subtask AS held
    JOIN unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::bigint[])
        AS given(subtask_id, lease_token, parts_done, parts_all) USING (subtask_id, lease_token)
    FOR NO KEY UPDATE OF held SKIP LOCKED
) AS mine
WHERE subtask.subtask_id = mine.subtask_id
"""  # noqa: S608 (our own constants)
RENEW_TASKS = f"""
UPDATE tasks_task AS task SET lease_time = {_LEASE}
FROM (
    SELECT task_id FROM tasks_task AS held
    JOIN unnest(%s::bigint[], %s::uuid[]) AS given(task_id, lease_token) USING (task_id, lease_token)
    FOR NO KEY UPDATE OF held SKIP LOCKED
) AS mine
WHERE task.task_id = mine.task_id
"""  # noqa: S608 (our own constants)
COUNT_PARTS = f"""
UPDATE tasks_task AS task
SET count_task_parts_done = counted.done, count_task_parts_all = counted.total, count_errors = counted.errors,
    last_update_time = clock_timestamp()
FROM (
    SELECT held.task_id, sum(subtask.parts_done) AS done, sum(subtask.parts_all) AS total,
        sum(subtask.count_errors) AS errors
    FROM (
        SELECT task_id FROM tasks_task WHERE task_id = ANY(%s) AND task_status = {IN_PROGRESS}
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS held JOIN tasks_subtask AS subtask USING (task_id) GROUP BY held.task_id
) AS counted
WHERE task.task_id = counted.task_id
    AND (task.count_task_parts_done, task.count_task_parts_all) <> (counted.done, counted.total)
"""  # noqa: S608 (our own constants)
STATES = """
SELECT subtask.subtask_id, subtask.lease_token, task.task_status
FROM tasks_subtask AS subtask JOIN tasks_task AS task USING (task_id) WHERE subtask.subtask_id = ANY(%s)
"""
TASK_STATES = "SELECT task_id, lease_token, task_status FROM tasks_task WHERE task_id = ANY(%s)"


class Held(StrEnum):
    """The state of a stage that a worker executes."""

    OURS = "ours"
    ENDED = "ended"  # the task was cancelled or deleted, or failed
    LOST = "lost"


Progress = tuple[int | None, int | None]  # parts done and all parts; None: unchanged
NO_PROGRESS: Progress = (None, None)


def states(units: Sequence[Unit]) -> dict[UUID, Held]:
    """Return the state of each unit by its token."""
    rows: dict[tuple[bool, int], tuple[UUID | None, int]] = {}
    for is_subtask, statement in ((True, STATES), (False, TASK_STATES)):
        keys = [unit.key for unit in units if (unit.stage is Stage.PROCESS) == is_subtask]
        if keys:
            with connection.cursor() as cursor:
                cursor.execute(statement, [keys])
                rows |= {(is_subtask, key): (token, status) for key, token, status in cursor}
    return {unit.token: _held(unit, rows.get((unit.stage is Stage.PROCESS, unit.key))) for unit in units}


def _held(unit: Unit, row: tuple[UUID | None, int] | None) -> Held:
    if row is None:
        return Held.ENDED
    token, status = row
    if status in (CANCELLED, FAILED, DONE):
        return Held.ENDED
    return Held.OURS if token == unit.token else Held.LOST


def renew(units: Mapping[Unit, Progress]) -> None:
    """Extend the leases, store the progress of subtasks, and sum it up in their tasks."""
    processed = [unit for unit in units if unit.stage is Stage.PROCESS]
    others = [unit for unit in units if unit.stage is not Stage.PROCESS]
    with connection.cursor() as cursor:
        if processed:
            done, total = zip(*(units[unit] for unit in processed), strict=True)
            keys, tokens = [unit.key for unit in processed], [unit.token for unit in processed]
            cursor.execute(RENEW_SUBTASKS, [keys, tokens, [*done], [*total]])
            cursor.execute(COUNT_PARTS, [[*{unit.task_id for unit in processed}]])
        if others:
            cursor.execute(RENEW_TASKS, [[unit.key for unit in others], [unit.token for unit in others]])


def release(unit: Unit, *, failed: bool = False) -> None:
    """Give a stage back, unless it ended or another worker has it.

    `failed`: count an attempt, and let the stage wait before the next one. A stage that was given back has at least one
    attempt, so that its next claim does not report its beginning again.
    """
    pause_s = FIRST_PAUSE_S * 2**unit.attempts if failed else 0.0
    table, key, status = _table(unit)
    _execute(
        f"""UPDATE {table} SET {status} = %s, lease_token = NULL, attempts = greatest(attempts + %s, 1),
            lease_time = clock_timestamp() + %s * interval '1 second'
        WHERE {key} = %s AND lease_token = %s""",  # noqa: S608 (names of our own columns)
        [COLLECTING if unit.stage is Stage.MERGE else PENDING, int(failed), pause_s, unit.key, unit.token],
    )


def revoke(account_ids: Collection[UUID]) -> None:
    """End the leases of these accounts and of tasks of all accounts: their stages continue from the last checkpoint.

    What a stage has read since then is neither stored nor part of a result.
    """
    ids = [*account_ids]
    _execute(
        f"""UPDATE tasks_subtask AS subtask
        SET lease_token = NULL, lease_time = NULL, attempts = greatest(subtask.attempts, 1)
        FROM tasks_task AS task
        WHERE task.task_id = subtask.task_id AND (task.account_id = ANY(%s) OR task.account_id IS NULL)
            AND subtask_status = {IN_PROGRESS} AND subtask.lease_token IS NOT NULL""",  # noqa: S608 (our own constants)
        [ids],
    )
    _execute(
        f"""UPDATE tasks_task SET lease_token = NULL, lease_time = NULL, attempts = greatest(attempts, 1),
            task_status = CASE task_status WHEN {IN_PROGRESS} THEN {PENDING} ELSE task_status END
        WHERE (account_id = ANY(%s) OR account_id IS NULL)
            AND task_status IN ({IN_PROGRESS}, {COLLECTING}) AND lease_token IS NOT NULL""",  # noqa: S608
        [ids],
    )


def outputs_sweep() -> None:
    """Delete the pieces of results of ended subtasks."""
    _execute(
        f"""DELETE FROM tasks_subtaskoutput AS output USING tasks_subtask AS subtask
        WHERE output.subtask_id = subtask.subtask_id AND subtask_status NOT IN ({PENDING}, {IN_PROGRESS})""",  # noqa: S608
        [],
    )


def live_tokens() -> set[str]:
    """Return the tokens of all leases that have not ended for long."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT lease_token FROM tasks_task WHERE task_status IN ({IN_PROGRESS}, {COLLECTING})
            UNION ALL SELECT lease_token FROM tasks_subtask WHERE subtask_status = {IN_PROGRESS}"""  # noqa: S608
        )
        return {str(token) for (token,) in cursor if token is not None}


def _table(unit: Unit) -> tuple[str, str, str]:
    if unit.stage is Stage.PROCESS:
        return "tasks_subtask", "subtask_id", "subtask_status"
    return "tasks_task", "task_id", "task_status"


def _execute(statement: str, parameters: Sequence[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
