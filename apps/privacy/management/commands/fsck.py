"""`manage.py fsck`: check the consistency of rows, files and descriptors."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.audit import audit_write
from apps.common.holdings import holdings


class Command(BaseCommand):
    help = "Check the consistency of database, Image Store and Redis; --mend repairs faults."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--mend", action="store_true", help="repair the faults that can be repaired without losing data"
        )
        parser.add_argument("--deep", action="store_true", help="read all bytes and compare their SHA-256")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each fault, and exit with 1 if any is left. Each repaired kind leaves an audit line."""
        found: Counter[str] = Counter()
        left = 0
        for fault in holdings.faults(options["deep"]):
            found[fault.kind] += 1
            mended = options["mend"] and fault.mend is not None
            if mended and fault.mend is not None:
                if found[fault.kind] == 1:
                    audit_write(action="mend", object_type="fault", object_id=fault.kind)
                fault.mend()
            else:
                left += 1
            outcome = "mended" if mended else "found" if fault.mend else "found, needs a decision"
            self.stdout.write(f"{fault.kind}: {fault.subject} ({outcome})")
        for kind, count in sorted(found.items()):
            self.stdout.write(f"{count:8} {kind}")
        if left:
            raise CommandError(f"{left} faults are left.")
        self.stdout.write("No faults found." if not found else "All faults repaired.")
