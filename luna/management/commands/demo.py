"""`manage.py demo`: recognises a person in photographs, end to end, against the running platform."""

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
from luna.demo.story import CONTENT_TYPES, Expected, Story, Teller, judge

# The woman on the right of the first sample photograph stands in the middle of the third.
EXPECTED = Expected(enrolled_in="sample1.jpg", enrolled_at=(1568, 340), seen_in="sample3.jpg", seen_at=(1189, 381))
ENROLLED_SAMPLES = 2


class Command(BaseCommand):
    help = "Enrols the people of some photographs and recognises them in the others, over HTTP and websocket."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--photos", type=Path, help="a folder of photographs; without it six samples are used")
        parser.add_argument("--url", default=config(ExternalAddress).origin, help="the platform (%(default)s)")
        parser.add_argument("--keep", action="store_true", help="leave the demo's account and data in the platform")
        parser.add_argument(
            "--output", type=Path, default=config(Directories).var / "demo", help="folder of the report"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # one line a request would bury the story
        enrol, recognise = self._photographs(options["photos"])
        expected = None if options["photos"] else EXPECTED
        teller = Teller(Api(options["url"]), say=self.stdout.write)
        self.stdout.write(f"Luna at {options['url']}\n")
        try:
            story = teller.tell(enrol, recognise)
            problems = judge(story, expected) if expected else None
            self._tell_table(story)
            page = write_report(story, options["output"], problems)
        except DemoError as error:
            raise CommandError(str(error)) from error
        finally:
            self._clean_up(teller, keep=options["keep"])
        self.stdout.write(f"\nReport: {page.resolve().as_uri()}, the event: {page.with_name('event.json').resolve()}")
        if problems:
            raise CommandError("; ".join(problems))
        if expected:
            self.stdout.write(
                self.style.SUCCESS("The one person who is in two photographs was recognised, nobody else.")
            )

    def _photographs(self, folder: Path | None) -> tuple[list[Path], list[Path]]:
        """Those to enrol from and those to recognise in: of a folder's, the first half and the second."""
        if folder is None:
            try:
                samples = sample_photographs(config(Directories).cache)
            except NetworkError as error:
                raise CommandError(f"The sample photographs are not there: {error}") from error
            return samples[:ENROLLED_SAMPLES], samples[ENROLLED_SAMPLES:]
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder")
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in CONTENT_TYPES)
        if len(found) < 2:
            raise CommandError(f"{folder} holds fewer than two photographs ({', '.join(CONTENT_TYPES)})")
        half = len(found) // 2
        return found[:half], found[half:]

    def _tell_table(self, story: Story) -> None:
        self.stdout.write(f"\n  {'photograph':<24}{'looks like':<14}{'resembles most':<18}{'similarity':<12}recognised")
        for sighting in story.sightings:
            similarity = "—" if sighting.similarity is None else f"{sighting.similarity:.3f}"
            line = (
                f"  {sighting.photograph.name[:22]:<24}{looks(sighting):<14}{sighting.name or '—':<18}{similarity:<12}"
                f"{sighting.name if sighting.recognised else 'no'}"
            )
            self.stdout.write(self.style.SUCCESS(line) if sighting.recognised else line)
        self.stdout.write(f"\n  Websocket: {websocket_sentence(story)}.")
        for arrival in story.arrivals[:1] if not story.recognised else _of(story, story.recognised[0].event_id):
            self.stdout.write(f"  The event as it arrived: {summary(arrival.message)}\n")

    def _clean_up(self, teller: Teller, *, keep: bool) -> None:
        account = teller.story.account
        if keep and account:
            self.stdout.write(f"\n  Kept: account {account['account_id']} ({account['login']} / {account['password']})")
            return
        try:
            teller.forget()
        except DemoError as error:
            self.stderr.write(f"The demo's account is left behind: {error}")


def _of(story: Story, event_id: str) -> list[Any]:
    return [arrival for arrival in story.arrivals if arrival.message["event"]["event_id"] == event_id]


def summary(message: dict[str, Any]) -> str:
    """One line of a websocket message."""
    event = message["event"]
    return (
        f"event {event['event_id']}, source {event['source']}, tags {event['tags']}, handler {message['handler_id']}, "
        f"create time {message['event_create_time']}, request {message['Luna-Request-Id']}"
    )
