"""`manage.py createsuperuser`: create an account of type admin, with the password policy and an audit line."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError

from apps.common.errors import LunaError


class Command(createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().handle(*args, **options)
        except LunaError as error:
            raise CommandError(error.detail) from error
