"""`manage.py erase`: erase a person or an account everywhere, with a receipt."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import Account
from apps.common.config import Directories, config
from apps.common.fields import parse_uuid
from apps.common.holdings import Trace
from apps.privacy.erasure import Receipt, account_erase, person_erase, receipt_keep


class Command(BaseCommand):
    help = "Erase a person (--external-id, --face-id) or an account (--account) with all data."

    def add_arguments(self, parser: CommandParser) -> None:
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--external-id", help="erase all faces and events with this external id")
        subject.add_argument("--face-id", help="erase this face, its events and all objects that they refer to")
        subject.add_argument("--account", help="erase the account with this id, its tokens and all its data")
        parser.add_argument("--of-account", help="restrict --external-id to this account")
        parser.add_argument("--dry-run", action="store_true", help="print what would be erased, and erase nothing")
        parser.add_argument(
            "--receipts",
            default=str(config(Directories).var / "receipts"),
            help="directory of receipts (default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print and store the receipt. Exit with 1 when nothing was found or a file could not be removed."""
        receipt = self._erase(options)
        self.stdout.write(receipt.as_json())
        if not receipt.dry_run:
            path = receipt_keep(receipt=receipt, folder=Path(options["receipts"]))
            if path is None:
                raise CommandError(f"The receipt could not be written to {options['receipts']}.")
            self.stdout.write(f"Receipt: {path}")
        if receipt.files_left:
            raise CommandError(
                f"{len(receipt.files_left)} files could not be removed: run `.venv/bin/python manage.py fsck --mend`."
            )

    def _erase(self, options: dict[str, Any]) -> Receipt:
        dry_run: bool = options["dry_run"]
        if options["account"]:
            account = Account.objects.filter(pk=self._uuid(options["account"])).first()
            if account is None:
                raise CommandError(f"Account {options['account']} does not exist.")
            receipt = account_erase(account=account, dry_run=dry_run, progress=self._progress)
            if receipt is None:
                raise CommandError("Another process is erasing this account.")
            return receipt
        if options["face_id"]:
            trace = Trace(face_id=self._uuid(options["face_id"]))
        else:
            if not options["external_id"]:
                raise CommandError("`--external-id` must not be empty: it would select all people without one.")
            of_account = options["of_account"] and self._uuid(options["of_account"])
            trace = Trace(external_id=options["external_id"], account_id=of_account)
        receipt = person_erase(trace=trace, dry_run=dry_run)
        if receipt.is_empty:
            raise CommandError(f"No data found for {trace.subject}.")
        return receipt

    def _progress(self, table: str, rows: int) -> None:
        self.stderr.write(f"{rows:>12,} rows of {table} erased")

    def _uuid(self, text: str) -> Any:
        value = parse_uuid(text)
        if value is None:
            raise CommandError(f"{text!r} is not a UUID.")
        return value
