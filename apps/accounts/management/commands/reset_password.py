"""`manage.py reset_password`: set a new password of an account, for operators who have lost it."""

import secrets
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.config import Administrator
from apps.accounts.management.commands.ensure_admin import PASSWORD_BYTES
from apps.accounts.selectors import account_by_login, account_find
from apps.accounts.services import account_update
from apps.common.config import config
from apps.common.errors import LunaError


class Command(BaseCommand):
    help = (
        "Set a new password of an account: a random one, which is printed once, or with --stdin the first line of the "
        "standard input. The account's tokens end, unless LUNA_PASSWORD_CHANGE_KEEPS_TOKENS is set."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("login", nargs="?", help="login of the account; default: the first administrator")
        parser.add_argument("--stdin", action="store_true", help="read the password from the standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        login: str | None = options["login"]
        account = account_by_login(login.lower()) if login else account_find(config(Administrator).account_id)
        if account is None:
            raise CommandError(f"No account has the login {login}." if login else "The administrator does not exist.")
        password = sys.stdin.readline().rstrip("\n") if options["stdin"] else secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            account_update(account=account, password=password)
        except LunaError as error:
            raise CommandError(error.detail) from None
        self.stdout.write(f"The password of {account.login} has been changed.")
        if not options["stdin"]:
            self.stdout.write(f"Password, shown only once: {password}")
