"""`manage.py support_bundle`: write an archive with what support needs."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.administration.support import LOG_BYTES, bundle_write, default_path


class Command(BaseCommand):
    help = (
        "Write a zip file for support: versions, settings, licence, health, processes, metrics, migrations, numbers of "
        "rows, and the ends of the log files. Secrets, e-mail addresses and ids are masked; it contains no pictures, "
        "descriptors or rows. The database and Redis may be away."
    )
    requires_system_checks: Any = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--output", type=Path, help="the file; default: luna-support-HOST-TIME.zip")
        parser.add_argument("--log-kb", type=int, default=LOG_BYTES // 1024, help="of each log file; 0: no logs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["log_kb"] < 0:
            raise CommandError(f"`--log-kb` must be 0 or more, got {options['log_kb']}.")
        path: Path = options["output"] or default_path()
        try:
            problems = bundle_write(path, log_bytes=options["log_kb"] * 1024)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from None
        for problem in problems:
            self.stderr.write(f"Not in the bundle: {problem}")
        self.stdout.write(f"Wrote {path}. Read it before you pass it on.")
