"""`manage.py changepassword LOGIN`: set the password of an account, for example when an administrator forgot it.

It replaces Django's command of the same name, which neither ends tokens nor writes an audit line.
"""

import sys
from getpass import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.selectors import account_by_login
from apps.accounts.services import account_update
from apps.common.errors import LunaError


class Command(BaseCommand):
    help = (
        "Set the password of an account. It is asked for twice, or read from the first line of standard input. "
        "The account's sessions and tokens end (LUNA_PASSWORD_CHANGE_KEEPS_TOKENS keeps tokens)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("login")

    def handle(self, *args: Any, **options: Any) -> None:
        account = account_by_login(options["login"])
        if account is None:
            raise CommandError(f"No account has the login {options['login']!r}.")
        try:
            account_update(account=account, password=new_password())
        except LunaError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"Changed the password of {account.login}.")


def new_password() -> str:
    """Read a password from the terminal, twice, or from standard input. Raises CommandError when the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass("New password: ")
    if getpass("New password (again): ") != password:
        raise CommandError("The two passwords differ; nothing was changed.")
    return password
