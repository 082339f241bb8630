from django.apps import AppConfig
from django.core.checks import register


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Register the security schemes of OpenAPI and the check of the key that signs tokens."""
        from apps.accounts.api import schema  # noqa: F401 - registers itself
        from apps.accounts.auth.bearer import signature_check

        register(signature_check)
