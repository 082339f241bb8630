"""`manage.py fsck`: do rows, files and descriptors agree?"""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.audit import audit_write
from apps.common.holdings import holdings


class Command(BaseCommand):
    help = "Finds what does not agree between the database and the Image Store; --mend mends what can be mended."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--mend", action="store_true", help="mend the faults where nothing more is lost by it")
        parser.add_argument("--deep", action="store_true", help="read all bytes and compare their SHA-256")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints each fault, ends with 1 while some are left. Each kind that is mended leaves an audit line."""
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
            outcome = "mended" if mended else "found" if fault.mend else "found, needs a person"
            self.stdout.write(f"{fault.kind}: {fault.subject} ({outcome})")
        for kind, count in sorted(found.items()):
            self.stdout.write(f"{count:8} {kind}")
        if left:
            raise CommandError(f"{left} faults are left")
        self.stdout.write("Everything agrees." if not found else "Everything agrees now.")
