"""`manage.py rotate_secrets`: encrypt all stored secrets with the current key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.common.rotation import secrets_rotate


class Command(BaseCommand):
    help = (
        "Encrypt all stored secrets with the current key. Start the platform with the former key in "
        "FERNET_PASSPHRASE_OLD and SALT_OLD (or LUNA_SECRET_KEY_OLD), run this command, and remove the former key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        secrets = unreadable = 0
        for each in secrets_rotate():
            secrets += each.secrets
            unreadable += each.unreadable
            if each.unreadable:
                self.stderr.write(f"{each.row}: {each.unreadable} secrets cannot be decrypted")
        self.stdout.write(f"{secrets} secrets have the current key.")
        if unreadable:
            raise CommandError(f"{unreadable} secrets cannot be decrypted with any given key.")
