"""Registry of the data that rooms hold about accounts and people: its erasure and its consistency checks.

A room registers one `Holding` in `AppConfig.ready()`. `apps.accounts.erasure` uses it to erase accounts, and
`apps.privacy` to erase people and to run the checks. Neither imports the rooms.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:  # the rooms that write audit lines are above this one
    from apps.accounts.auth.principal import Actor

Progress = Callable[[str, int], None]  # table name, number of its rows erased so far
Report = Mapping[str, "list[str] | int"]


class OutOfTimeError(Exception):
    """The deadline has passed; another run continues the erasure."""


class Erasure:
    """One run of erasing an account: it counts erased rows, reports progress and stops at the deadline."""

    def __init__(self, limit_s: float | None = None, progress: Progress | None = None) -> None:
        self.removed: Counter[str] = Counter()
        self._ends = None if limit_s is None else time.monotonic() + limit_s
        self._progress = progress

    def went(self, table: str, rows: int) -> None:
        """Count an erased batch. Raises OutOfTimeError after the deadline."""
        self.removed[table] += rows
        if self._progress is not None and rows:
            self._progress(table, self.removed[table])
        if self._ends is not None and time.monotonic() > self._ends:
            raise OutOfTimeError


@dataclass(frozen=True, slots=True)
class Reference:
    """An object of an account: its kind as in audit lines, and its id.

    The id of an Image Store `object` is `<bucket>/<UUID>`.
    """

    kind: str
    account_id: UUID
    object_id: str


@dataclass(kw_only=True)
class Trace:
    """A person to erase, with the objects found so far.

    `named`: objects that rooms refer to. `held`: objects that rooms own. Clients may write any id into an object, so
    erasure never leaves the account of the object that names an id.
    """

    external_id: str | None = None
    face_id: UUID | None = None
    account_id: UUID | None = None  # restricts the erasure to this account
    actor: "Actor | None" = None  # of the audit lines; None for an operator's command
    named: set[Reference] = field(default_factory=set)
    held: set[Reference] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.face_id is None and not self.external_id:
            raise ValueError("`external_id` must not be empty: it would select all people without one")

    @property
    def subject(self) -> str:
        return f"face {self.face_id}" if self.face_id else f"external id {self.external_id}"

    def of(self, kind: str) -> dict[UUID, list[str]]:
        """Return the named and held ids of a kind, by account."""
        found: dict[UUID, list[str]] = {}
        for each in sorted(self.named | self.held, key=lambda each: each.object_id):
            if each.kind == kind:
                found.setdefault(each.account_id, []).append(each.object_id)
        return found


class PersonEraser(Protocol):
    """A room's part in the erasure of one person; each run creates its own."""

    def find(self, trace: Trace) -> None:
        """Add the room's objects of the person, and objects that those name. Called until no room adds any."""

    def erase(self, trace: Trace) -> None:
        """Erase the objects found and write audit lines (`erase`), in one transaction for all rooms."""

    def clean(self, trace: Trace) -> None:
        """Remove files and Redis keys after that transaction is committed."""

    def report(self) -> Report:
        """Return the room's part of the receipt: ids and counts by name, without biometric data."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An inconsistency. `mend` is None if repairing it would lose data, so that a person must decide."""

    kind: str
    subject: str
    mend: Callable[[], None] | None = None


Check = Callable[[bool], Iterator[Fault]]  # argument `deep`: whether to read all bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The registration of a room.

    `account`: removes an account's data outside the database (files, Redis keys), in bounded steps that it reports to
    the `Erasure`. It runs outside a transaction while the rows still exist. It must be idempotent: after an error, the
    account stays closed and another run retries. `account_count`: the numbers of those data, by name. `person`:
    creates the room's `PersonEraser`. `checks`: by name.
    """

    account: Callable[[UUID, Erasure], None] | None = None
    account_count: Callable[[UUID], Mapping[str, int]] | None = None
    person: Callable[[], PersonEraser] | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)


class Holdings:
    """The holdings of all rooms, in order of registration."""

    def __init__(self) -> None:
        self._rooms: dict[str, Holding] = {}

    def register(self, room: str, holding: Holding) -> None:
        self._rooms[room] = holding

    def account_erase(self, account_id: UUID, erasure: Erasure) -> None:
        """Remove an account's data outside the database in all rooms. Propagates the rooms' errors."""
        for holding in tuple(self._rooms.values()):
            if holding.account is not None:
                holding.account(account_id, erasure)

    def account_count(self, account_id: UUID) -> dict[str, int]:
        """Return the numbers of an account's data outside the database, by name. Propagates the rooms' errors."""
        counts: dict[str, int] = {}
        for holding in self._rooms.values():
            if holding.account_count is not None:
                counts.update(holding.account_count(account_id))
        return counts

    def person_erasers(self) -> list[PersonEraser]:
        return [holding.person() for holding in self._rooms.values() if holding.person is not None]

    def faults(self, deep: bool) -> Iterator[Fault]:
        """Yield the faults that the checks of all rooms find."""
        for holding in self._rooms.values():
            for check in holding.checks.values():
                yield from check(deep)


holdings = Holdings()
