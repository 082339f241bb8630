"""`manage.py list_cache`: show, build or drop the lists in memory."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.matching.segments.builder import segments_drop
from apps.matching.segments.copies import Copies
from apps.matching.segments.files import segments_root
from apps.matching.segments.running import build_once


class Command(BaseCommand):
    help = "Show the lists that are matched in memory, build them now, or drop their files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("status", "build", "drop"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "build" and not build_once():
            raise CommandError("Another process builds the lists: it looks at them every few seconds.")
        if options["action"] == "drop":
            dropped = segments_drop(segments_root(), lambda manifest, path: True)
            self.stdout.write(f"{dropped} lists dropped; a running builder makes them anew.")
            return
        copies = Copies(segments_root())
        copies.refresh()
        for each in copies.all():
            manifest = each.manifest
            self.stdout.write(
                f"{manifest.list_id}  version {manifest.version}  {manifest.mark.link_key - manifest.mark.unlink_key} "
                f"faces  {len(manifest.files)} segments  {manifest.bytes:,} bytes"
            )
        self.stdout.write(f"{len(copies.all())} lists in memory")
