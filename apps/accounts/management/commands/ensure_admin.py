"""`manage.py ensure_admin`: create the administrator of a new installation. Idempotent."""

import json
import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.choices import AccountType
from apps.accounts.config import Administrator
from apps.accounts.selectors import account_find
from apps.accounts.services import account_create
from apps.common.config import config
from apps.common.errors import LunaError

PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = (
        "Create the account LUNA_ADMIN_ACCOUNT_ID with LUNA_ADMIN_LOGIN and LUNA_ADMIN_PASSWORD unless it exists. "
        "Without LUNA_ADMIN_PASSWORD, a random password is generated and printed once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of sentences")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = config(Administrator)
        account_id, chosen_password = chosen.account_id, chosen.password.get_secret_value()
        account = account_find(account_id)
        password = None
        created = account is None
        if account is None:
            password = chosen_password or secrets.token_urlsafe(PASSWORD_BYTES)
            try:
                account = account_create(
                    account_id=account_id,
                    login=chosen.login,
                    password=password,
                    account_type=AccountType.ADMIN,
                    description="the first administrator",
                )
            except LunaError as error:
                raise CommandError(f"Cannot create the administrator {chosen.login}: {error.detail}") from error
        # Only a random password is printed; the operator knows a chosen one.
        shown = None if chosen_password else password
        if options["json"]:
            result = {"account_id": str(account_id), "login": account.login, "password": shown, "created": created}
            self.stdout.write(json.dumps(result))
        elif created:
            self.stdout.write(f"Created the administrator {account.login} ({account_id}).")
            if shown:
                self.stdout.write(f"Password, shown only once: {shown}")
        else:
            self.stdout.write(f"The administrator {account.login} ({account_id}) already exists.")
