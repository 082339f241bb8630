"""`manage.py demo`: recognise a person in photographs, end to end, on the running platform."""

import logging
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.common.config import Directories, ExternalAddress, config
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.samples import sample_photographs
from luna.demo.client import Api, DemoError
from luna.demo.report import looks, websocket_sentence, write_report
from luna.demo.scenario import CONTENT_TYPES, Expected, Outcome, Scenario, find_problems

# The woman on the right of the first sample photograph is in the middle of the third.
EXPECTED = Expected(enrolled_in="sample1.jpg", enrolled_at=(1568, 340), seen_in="sample3.jpg", seen_at=(1189, 381))
ENROLLED_SAMPLES = 2


class Command(BaseCommand):
    help = "Enrol the people of some photographs and recognise them in others, over HTTP and websocket."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--photos", type=Path, help="a folder of photographs (default: six sample photographs)")
        parser.add_argument("--url", default=config(ExternalAddress).origin, help="the platform (default: %(default)s)")
        parser.add_argument("--keep", action="store_true", help="keep the demo's account and data")
        parser.add_argument(
            "--output", type=Path, default=config(Directories).var / "demo", help="folder of the report"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # its line per request would hide the report
        enrol, recognise = self._photographs(options["photos"])
        expected = None if options["photos"] else EXPECTED
        scenario = Scenario(Api(options["url"]), write=self.stdout.write)
        self.stdout.write(f"Luna at {options['url']}\n")
        try:
            outcome = scenario.run(enrol, recognise)
            problems = find_problems(outcome, expected) if expected else None
            self._print_table(outcome)
            page = write_report(outcome, options["output"], problems)
        except DemoError as error:
            raise CommandError(str(error)) from error
        finally:
            self._clean_up(scenario, keep=options["keep"])
        self.stdout.write(f"\nReport: {page.resolve().as_uri()}, the event: {page.with_name('event.json').resolve()}")
        if problems:
            raise CommandError("; ".join(problems))
        if expected:
            self.stdout.write(
                self.style.SUCCESS("The one person who is in two photographs was recognised, and no other face.")
            )

    def _photographs(self, folder: Path | None) -> tuple[list[Path], list[Path]]:
        """Return the photographs to enrol from and those to search; a folder is split into halves by name."""
        if folder is None:
            try:
                samples = sample_photographs(config(Directories).cache)
            except NetworkError as error:
                raise CommandError(f"The sample photographs are not available: {error}") from error
            return samples[:ENROLLED_SAMPLES], samples[ENROLLED_SAMPLES:]
        if not folder.is_dir():
            raise CommandError(f"`--photos` must be a folder, got {folder}.")
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in CONTENT_TYPES)
        if len(found) < 2:
            types = ", ".join(CONTENT_TYPES)
            raise CommandError(f"`--photos` must hold at least 2 photographs ({types}), got {len(found)}.")
        half = len(found) // 2
        return found[:half], found[half:]

    def _print_table(self, outcome: Outcome) -> None:
        self.stdout.write(f"\n  {'photograph':<24}{'looks like':<14}{'resembles most':<18}{'similarity':<12}recognised")
        for face in outcome.matched_faces:
            similarity = "—" if face.similarity is None else f"{face.similarity:.3f}"
            line = (
                f"  {face.photograph.name[:22]:<24}{looks(face):<14}{face.name or '—':<18}{similarity:<12}"
                f"{face.name if face.recognised else 'no'}"
            )
            self.stdout.write(self.style.SUCCESS(line) if face.recognised else line)
        self.stdout.write(f"\n  Websocket: {websocket_sentence(outcome)}.")
        for arrival in outcome.arrivals[:1] if not outcome.recognised else _of(outcome, outcome.recognised[0].event_id):
            self.stdout.write(f"  The notification of one event: {summary(arrival.message)}\n")

    def _clean_up(self, scenario: Scenario, *, keep: bool) -> None:
        account = scenario.outcome.account
        if keep and account:
            self.stdout.write(f"\n  Kept: account {account['account_id']} ({account['login']} / {account['password']})")
            return
        try:
            scenario.remove_account()
        except DemoError as error:
            self.stderr.write(f"The demo's account was not removed: {error}")


def _of(outcome: Outcome, event_id: str) -> list[Any]:
    return [arrival for arrival in outcome.arrivals if arrival.message["event"]["event_id"] == event_id]


def summary(message: dict[str, Any]) -> str:
    """Return a notification as one line."""
    event = message["event"]
    return (
        f"event {event['event_id']}, source {event['source']}, tags {event['tags']}, handler {message['handler_id']}, "
        f"create time {message['event_create_time']}, request {message['Luna-Request-Id']}"
    )
