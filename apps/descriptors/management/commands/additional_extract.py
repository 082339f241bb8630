"""`manage.py additional_extract`: extract a descriptor version from stored samples."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apps.common.descriptors import versions
from apps.common.errors import LunaError
from apps.common.fields import parse_uuid
from apps.common.scope import Scope
from apps.descriptors.extraction import BATCH_OBJECTS, AdditionalExtraction, Batch, Objects
from apps.faces.selectors import list_get


class Command(BaseCommand):
    help = "Additional extraction: extracts a descriptor version from the samples of faces (and events) that lack it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--descriptor-version", type=int, required=True, metavar="N")
        parser.add_argument("--account", metavar="ID", help="only objects of this account; default: all accounts")
        parser.add_argument("--list", metavar="ID", help="only faces of this list; excludes --events")
        parser.add_argument("--events", action="store_true", help="also events; for a body version only events")
        parser.add_argument("--batch", type=int, default=BATCH_OBJECTS, metavar="N", help="objects per transaction")
        parser.add_argument("--dry-run", action="store_true", help="report the numbers of objects and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Extract and print a line for each failed object and a summary. Exits with 1 if an object failed."""
        failed = 0
        try:
            for extraction in _extractions(options):
                failed += self._run(extraction, dry_run=options["dry_run"])
        except (LunaError, ValueError) as error:
            raise CommandError(error.detail if isinstance(error, LunaError) else str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("interrupted; extracted descriptors are kept, rerun the command to resume") from None
        if failed:
            raise CommandError(f"extraction failed for {failed} objects")

    def _run(self, extraction: AdditionalExtraction, *, dry_run: bool) -> int:
        extraction.check()
        total: Counter[str] = Counter()
        with tqdm(
            total=extraction.lacking().count(), unit=extraction.objects[:-1], desc=extraction.objects, disable=None
        ) as bar:
            for batch in extraction.run(dry_run=dry_run):
                self._note(batch, total)
                bar.update(batch.size)
        self.stdout.write(
            f"{extraction.objects}: {total['extracted']} {'to extract' if dry_run else 'extracted'}, "
            f"{total['without_samples']} without samples (unchanged), "
            f"{total['changed']} changed concurrently, {total['failed']} failed"
        )
        return total["failed"]

    def _note(self, batch: Batch, total: Counter[str]) -> None:
        total.update(
            extracted=batch.extracted,
            changed=batch.changed,
            without_samples=len(batch.without_samples),
            failed=len(batch.failed),
        )
        for object_id, error in batch.failed:
            self.stderr.write(f"{object_id}: {error.detail}")


def _extractions(options: dict[str, Any]) -> list[AdditionalExtraction]:
    """Return the extractions of the command's options.

    Raises LunaError UNKNOWN_DESCRIPTOR_VERSION or LIST_NOT_FOUND, ValueError for contradictory options.
    """
    version = versions.get(options["descriptor_version"])
    scope = Scope(_uuid(options["account"]))
    list_id = _uuid(options["list"])
    if options["batch"] < 1:
        raise ValueError(f"--batch must be at least 1, got {options['batch']}")
    if list_id is not None:
        if options["events"]:
            raise ValueError("--list and --events exclude each other: lists contain faces only")
        list_get(scope=scope, list_id=list_id)
    objects: list[Objects] = ["faces"] if version.kind == "face" or list_id is not None else []
    if options["events"]:
        objects.append("events")
    if not objects:
        raise ValueError(f"descriptor version {version.version} describes bodies, which only events have: add --events")
    return [
        AdditionalExtraction(
            objects=each,
            version=version,
            scope=scope,
            filters={} if list_id is None else {"list_id": list_id},
            batch_objects=options["batch"],
        )
        for each in objects
    ]  # fmt: skip


def _uuid(text: str | None) -> Any:
    value = parse_uuid(text)
    if text is not None and value is None:
        raise ValueError(f"ids must be UUIDs, got {text!r}")
    return value
