"""What each room holds of accounts and people: how it is erased, and how its consistency is checked.

A room registers one `Holding` in `AppConfig.ready()`. `apps.accounts.erasure` erases accounts with them, `apps.privacy`
erases people and runs the checks: neither needs to know the rooms.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

Progress = Callable[[str, int], None]  # a table, and how many of its rows are erased so far
Report = Mapping[str, "list[str] | int"]


class OutOfTimeError(Exception):
    """The rest has to wait for another run."""


class Erasure:
    """One run at an account: counts the rows that are erased, reports progress and stops at the deadline."""

    def __init__(self, limit_s: float | None = None, progress: Progress | None = None) -> None:
        self.removed: Counter[str] = Counter()
        self._ends = None if limit_s is None else time.monotonic() + limit_s
        self._progress = progress

    def went(self, table: str, rows: int) -> None:
        """To be called after every batch. Raises OutOfTimeError."""
        self.removed[table] += rows
        if self._progress is not None and rows:
            self._progress(table, self.removed[table])
        if self._ends is not None and time.monotonic() > self._ends:
            raise OutOfTimeError


@dataclass(frozen=True, slots=True)
class Reference:
    """An object of an account: its kind as in audit lines, and its id. An `object` of the Image Store has the id
    `<bucket>/<UUID>`.
    """

    kind: str
    account_id: UUID
    object_id: str


@dataclass(kw_only=True)
class Trace:
    """A person who is to be erased, and what the rooms know of them so far.

    `named`: what rooms point at, wherever it is held; `held`: what they hold themselves. A client may write any id into
    an object: nothing of another account than the one that names it is touched.
    """

    external_id: str | None = None
    face_id: UUID | None = None
    account_id: UUID | None = None  # with `external_id`: only in this account
    named: set[Reference] = field(default_factory=set)
    held: set[Reference] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.face_id is None and not self.external_id:
            raise ValueError("an empty external id names everybody who has none")

    @property
    def subject(self) -> str:
        return f"face {self.face_id}" if self.face_id else f"external id {self.external_id}"

    def of(self, kind: str) -> dict[UUID, list[str]]:
        """Ids of a kind that are named or held, by account."""
        found: dict[UUID, list[str]] = {}
        for each in sorted(self.named | self.held, key=lambda each: each.object_id):
            if each.kind == kind:
                found.setdefault(each.account_id, []).append(each.object_id)
        return found


class PersonEraser(Protocol):
    """One room's part in erasing one person; made anew for each run."""

    def find(self, trace: Trace) -> None:
        """Add what the room holds of the person and what that names. Called again while any room adds something."""

    def erase(self, trace: Trace) -> None:
        """Erase what was found and write the audit lines (`erase`), in the one transaction of all rooms."""

    def clean(self, trace: Trace) -> None:
        """Remove what is no row, files and keys of Redis, once that transaction is committed."""

    def report(self) -> Report:
        """What the receipt says, by name: ids and numbers, nothing of a person's face."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not agree. `mend` is None where data is lost and a person has to decide."""

    kind: str
    subject: str
    mend: Callable[[], None] | None = None


Check = Callable[[bool], Iterator[Fault]]  # takes `deep`: whether to read all bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a room registers.

    `account`: removes what an account keeps elsewhere than in rows (files, keys in Redis), in bounded steps that it
    reports to the `Erasure`. It runs outside a transaction while the rows still exist, and may run again; its error
    leaves the account closed, for another run. `person`: makes the room's `PersonEraser`. `checks`: by name.
    """

    account: Callable[[UUID, Erasure], None] | None = None
    person: Callable[[], PersonEraser] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)


class Holdings:
    """The holdings of all rooms, in the order in which they were registered."""

    def __init__(self) -> None:
        self._rooms: dict[str, Holding] = {}

    def register(self, room: str, holding: Holding) -> None:
        self._rooms[room] = holding

    def account_erase(self, account_id: UUID, erasure: Erasure) -> None:
        """Remove what the rooms keep of an account beside its rows. Raises what the rooms raise."""
        for holding in tuple(self._rooms.values()):
            if holding.account is not None:
                holding.account(account_id, erasure)

    def person_erasers(self) -> list[PersonEraser]:
        return [holding.person() for holding in self._rooms.values() if holding.person is not None]

    def faults(self, deep: bool) -> Iterator[Fault]:
        """Yield what the checks of all rooms find."""
        for holding in self._rooms.values():
            for check in holding.checks.values():
                yield from check(deep)


holdings = Holdings()
