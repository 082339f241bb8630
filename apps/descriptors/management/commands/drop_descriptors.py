"""`manage.py drop_descriptors`: delete the descriptors of a version."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from apps.common.fields import parse_uuid
from apps.common.scope import Scope
from apps.descriptors.extraction import Objects
from apps.descriptors.versions import descriptors_alone, descriptors_drop, descriptors_of, is_default


class Command(BaseCommand):
    help = "Deletes the descriptors of a version from faces (and events). Samples are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--descriptor-version", type=int, required=True, metavar="N")
        parser.add_argument("--account", metavar="ID", help="only objects of this account; default: all accounts")
        parser.add_argument("--events", action="store_true", help="also events")
        parser.add_argument("--force", action="store_true", help="also delete the only descriptor of an object")
        parser.add_argument(
            "--dry-run", action="store_true", help="report the numbers of descriptors and delete nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Delete and report the number of descriptors.

        Exits with 1 and deletes nothing for a default version, or if an object would lose its only descriptor.
        """
        number: int = options["descriptor_version"]
        account_id = parse_uuid(options["account"])
        if options["account"] is not None and account_id is None:
            raise CommandError(f"--account must be a UUID, got {options['account']!r}")
        if is_default(number):
            raise CommandError(
                f"descriptor version {number} is the default; select another one with `networks use` first"
            )
        scope = Scope(account_id)
        chosen: list[Objects] = ["faces", "events"] if options["events"] else ["faces"]
        for objects in chosen:
            alone = descriptors_alone(objects=objects, scope=scope, number=number).count()
            self.stdout.write(f"{objects}: {alone} have no other descriptor")
            if alone and not options["force"]:
                raise CommandError(f"{alone} {objects} would lose their only descriptor; --force deletes it")
        for objects in chosen:
            self._drop(objects, scope, number, options)

    def _drop(self, objects: Objects, scope: Scope, number: int, options: dict[str, Any]) -> None:
        count = descriptors_of(objects=objects, scope=scope, number=number).count()
        if options["dry_run"]:
            self.stdout.write(f"{objects}: {count} to delete")
            return
        removed = 0
        with tqdm(total=count, unit="descriptor", desc=objects, disable=None) as bar:
            for batch in descriptors_drop(objects=objects, scope=scope, number=number, force=options["force"]):
                removed += batch
                bar.update(batch)
        self.stdout.write(f"{objects}: {removed} deleted")
