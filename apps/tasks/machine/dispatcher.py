"""The threads of a worker process that execute tasks: a dispatcher, a heartbeat, and a thread per running stage."""

import logging
import threading
import time
from collections import Counter
from uuid import UUID

from django.db import close_old_connections, connection

from apps.common.config import config
from apps.common.parts import TASKS, part_is_on
from apps.common.process import PerProcess, Status
from apps.common.wakeups import Listener
from apps.tasks.config import Tasks
from apps.tasks.machine import ends, queue, runner
from apps.tasks.machine.queue import Stage, Unit
from apps.tasks.machine.runs import Lease
from apps.tasks.machine.wakeup import CHANNEL, wake
from apps.tasks.types.base import LeaseLost

logger = logging.getLogger(__name__)

POLL_S = 1.0  # expired leases, pauses that ended, and tasks whose wake-up was lost
BEAT_S = 0.5  # a cancelled task ends within this time even if its wake-up was lost
RENEW_S = 2.0
PAUSE_S = 1.0  # after an error of the database
CLEAN_S = 10.0
STOP_S = 5.0
MAX_SERVED = 256  # accounts whose turn is remembered


class Dispatcher:
    """One thread claims stages, one renews their leases, and each stage has a thread. Workers share the queue.

    If the process dies, its stages are executed again after their leases.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._woken = True
        self._beat_now = threading.Event()
        self._closed = False
        self._leases: set[Lease] = set()
        self._executed = 0
        self._served: dict[UUID | None, None] = {}  # accounts of the last claims, the last one last
        self._cleaned_at = -CLEAN_S
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._run, "task-dispatcher"), (self._beat, "task-heartbeat"))
        ]
        for thread in self._threads:
            thread.start()
        self._listener = Listener(CHANNEL, self.wake)

    def wake(self) -> None:
        """Look for due stages and for cancelled tasks now."""
        self._beat_now.set()
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Claim no more, and give the running stages back; they continue from their checkpoints elsewhere."""
        self._listener.close()
        with self._changed:
            self._closed = True
            for lease in self._leases:
                lease.ended = LeaseLost
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._leases, STOP_S)
        self._beat_now.set()
        for thread in self._threads:
            thread.join(PAUSE_S)

    def status(self) -> Status:
        """Return the numbers of threads, of running stages, and of stages that this process has executed."""
        return {
            "threads": config(Tasks).subtask_threads,
            "running": len(self._leases),
            "executed": self._executed,
        }

    def _run(self) -> None:
        try:
            while not self._closed:
                try:
                    self._step()
                except Exception:  # the database is away, for example
                    logger.exception("Tasks wait")
                    self._sleep(PAUSE_S)
        finally:
            connection.close()

    def _step(self) -> None:
        """Claim a stage if there is room, and wait for a change if none was due."""
        close_old_connections()
        with self._changed:
            self._woken = False
            mine = [lease.unit for lease in self._leases]
        if time.monotonic() - self._cleaned_at > CLEAN_S:
            self._cleaned_at = time.monotonic()
            ends.subtasks_sweep()
            queue.outputs_sweep()
            runner.directories_clean()
        threads = config(Tasks).subtask_threads
        free = len(mine) < threads and part_is_on(TASKS)
        unit = runner.claim(excluded=_with_enough(mine, threads), served=[*self._served]) if free else None
        if unit is not None:
            self._serve(unit.account_id)
            self._start(Lease(unit))
            return
        with self._changed:
            self._changed.wait_for(lambda: self._woken or self._closed, POLL_S)

    def _serve(self, account_id: UUID | None) -> None:
        self._served.pop(account_id, None)
        self._served[account_id] = None
        if len(self._served) > MAX_SERVED:
            del self._served[next(iter(self._served))]

    def _start(self, lease: Lease) -> None:
        with self._changed:
            self._leases.add(lease)
            if self._closed:
                lease.ended = LeaseLost
        threading.Thread(target=self._execute, args=(lease,), name=f"task-{lease.unit.stage}", daemon=True).start()

    def _execute(self, lease: Lease) -> None:
        try:
            runner.execute(lease)
        finally:
            connection.close()
            with self._changed:
                self._leases.discard(lease)
                self._executed += 1
                self._woken = True
                self._changed.notify_all()
            if lease.unit.stage is Stage.SPLIT:
                wake()  # other workers take its subtasks

    def _beat(self) -> None:
        renewed_at = time.monotonic()
        try:
            while not self._closed or self._leases:
                self._beat_now.wait(BEAT_S)
                self._beat_now.clear()
                with self._changed:
                    leases = [*self._leases]
                if not leases:
                    continue
                asked = time.monotonic()
                try:
                    renews = asked - renewed_at >= RENEW_S
                    heartbeat(leases, renews=renews)
                    renewed_at = asked if renews else renewed_at
                except Exception:
                    logger.warning("Leases of tasks are not renewed", exc_info=True)
                    connection.close()
                for lease in leases:
                    lease.lapse()
        finally:
            connection.close()

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)


def heartbeat(leases: list[Lease], *, renews: bool = True) -> None:
    """End the stages that are no longer ours; renew the other leases, or store the progress of those that have some."""
    asked = time.monotonic()
    states = queue.states([lease.unit for lease in leases])
    for lease in leases:
        lease.found(states[lease.unit.token])
    ours = {
        lease: (None, None) if lease.run is None else lease.run.progress_of() for lease in leases if not lease.ended
    }
    chosen = {lease: progress for lease, progress in ours.items() if renews or progress != (None, None)}
    if chosen:
        queue.renew({lease.unit: progress for lease, progress in chosen.items()})
        for lease in chosen:
            lease.renewed(asked)


def _with_enough(units: list[Unit], threads: int) -> set[UUID | None]:
    """Return the accounts that have all threads but one; of several threads, no account's subtasks get all."""
    counts = Counter(unit.account_id for unit in units if unit.stage is Stage.PROCESS)
    return {account_id for account_id, count in counts.items() if count >= threads - 1}


dispatcher = PerProcess("tasks", Dispatcher, close=Dispatcher.close, status=Dispatcher.status)
