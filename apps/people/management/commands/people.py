"""`manage.py people`: propose groups of events of one person each, and decide about them."""

from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apps.accounts.models import Account
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.scope import Scope
from apps.common.times import format_time, parse_filter_time
from apps.people.grouping import PeopleError
from apps.people.models import Person
from apps.people.proposals import DecisionsChangedError, people_propose
from apps.people.selectors import people_list, person_get, person_last_decision, person_members
from apps.people.services import decision_undo, people_merge, person_name, person_split

EVERYTHING = Scope(None)


def _id(text: str) -> UUID:
    value = parse_uuid(text)
    if value is None:
        raise ArgumentTypeError(f"{text!r} is not a UUID")
    return value


def _time(text: str) -> datetime:
    try:
        return parse_filter_time(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is neither a time nor relative, such as now-30d") from error


class Command(BaseCommand):
    help = "Unknown people: groups of events that are most likely of one person."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, parser_class=CommandParser)
        propose = commands.add_parser("propose", help="replace the proposals of an account; decisions keep")
        propose.add_argument("--account", type=_id, required=True, metavar="ID")
        propose.add_argument("--since", type=_time, metavar="TIME", help="events from this time on, such as now-30d")
        propose.add_argument("--source", action="append", metavar="NAME", help="events of this source; repeatable")
        propose.add_argument("--handler", type=_id, metavar="ID", help="events of this handler")
        propose.add_argument(
            "--threshold", type=float, metavar="S", help="similarity above which faces are joined, 0 to 1"
        )
        listed = commands.add_parser("list", help="the groups with the most events")
        listed.add_argument("--account", type=_id, metavar="ID", help="default: all accounts")
        listed.add_argument("--limit", type=int, default=50, metavar="N")
        shown = commands.add_parser("show", help="a group, its newest events and its last decision")
        shown.add_argument("person", type=_id)
        shown.add_argument("--limit", type=int, default=50, metavar="N")
        named = commands.add_parser("name", help="name a group, and enrol its face")
        named.add_argument("person", type=_id)
        named.add_argument("name")
        named.add_argument("--list", type=_id, metavar="ID", help="link the face to this list")
        named.add_argument("--event", type=_id, metavar="ID", help="event with the descriptors of the face")
        merged = commands.add_parser("merge", help="merge groups: they are one person")
        merged.add_argument("person", type=_id, nargs="+")
        split = commands.add_parser("split", help="make a group of some events: they are another person")
        split.add_argument("person", type=_id)
        split.add_argument("event", type=_id, nargs="+")
        undone = commands.add_parser("undo", help="undo the last decision about a group")
        undone.add_argument("person", type=_id)

    def handle(self, *args: Any, **options: Any) -> None:
        """Execute the command. Raises CommandError with the reason of what is not possible."""
        try:
            getattr(self, f"_{options['command']}")(options)
        except LunaError as error:
            raise CommandError(error.detail) from error
        except (PeopleError, DecisionsChangedError) as error:
            raise CommandError(str(error)) from error

    def _propose(self, options: dict[str, Any]) -> None:
        account_id, threshold = options["account"], options["threshold"]
        if threshold is not None and not 0 <= threshold <= 1:
            raise CommandError(f"--threshold must be 0 to 1, got {threshold}")
        if not Account.objects.filter(pk=account_id, is_active=True).exists():
            raise CommandError(f"there is no account {account_id}")
        given = {
            "create_time__gte": options["since"],
            "sources": options["source"],
            "handler_ids": [options["handler"]] if options["handler"] else None,
        }
        filters = {name: value for name, value in given.items() if value is not None}
        with tqdm(unit="block", desc="compared", disable=None) as bar:
            found = people_propose(account_id=account_id, filters=filters, threshold=threshold, progress=bar.update)
        self.stdout.write(
            f"{found.events} events with faces: {found.groups} proposals with {found.proposed} events, "
            f"{found.assigned} events joined decided people"
        )

    def _list(self, options: dict[str, Any]) -> None:
        for person in people_list(scope=Scope(options["account"]), limit=options["limit"]):
            self.stdout.write(_line(person))

    def _show(self, options: dict[str, Any]) -> None:
        person = person_get(scope=EVERYTHING, person_id=options["person"])
        self.stdout.write(_line(person))
        if (decision := person_last_decision(person=person)) is not None:
            self.stdout.write(f"last decision: {decision}")
        for each in person_members(person=person, limit=options["limit"]):
            state = "confirmed" if each.decided else "proposed"
            self.stdout.write(f"{each.event.event_id}  {format_time(each.event.create_time)}  {state}")

    def _name(self, options: dict[str, Any]) -> None:
        person = person_get(scope=EVERYTHING, person_id=options["person"])
        person_name(
            account_id=person.account_id,
            person_id=person.person_id,
            name=options["name"],
            list_id=options["list"],
            event_id=options["event"],
        )
        self._report(person)

    def _merge(self, options: dict[str, Any]) -> None:
        people = [person_get(scope=EVERYTHING, person_id=each) for each in options["person"]]
        decision = people_merge(account_id=people[0].account_id, person_ids=options["person"])
        self._report(Person.objects.for_account(people[0].account_id).get(pk=decision.people[-1]))

    def _split(self, options: dict[str, Any]) -> None:
        person = person_get(scope=EVERYTHING, person_id=options["person"])
        decision = person_split(account_id=person.account_id, person_id=person.person_id, event_ids=options["event"])
        self._report(person)
        self._report(Person.objects.for_account(person.account_id).get(pk=decision.people[-1]))

    def _undo(self, options: dict[str, Any]) -> None:
        person = person_get(scope=EVERYTHING, person_id=options["person"])
        decision = person_last_decision(person=person)
        if decision is None:
            raise CommandError("there is no decision about this group that can be undone")
        for each in decision_undo(account_id=person.account_id, decision_id=decision.pk):
            self._report(each)

    def _report(self, person: Person) -> None:
        self.stdout.write(_line(person_get(scope=Scope(person.account_id), person_id=person.person_id)))


def _line(person: Person) -> str:
    state = "decided" if person.decided else "proposed"
    seen = format_time(person.last_seen) or "—"
    return f"{person.person_id}  {person.event_count} events  last {seen}  {state}  {person.name}".rstrip()
