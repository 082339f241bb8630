from django.apps import AppConfig
from django.core.checks import register

from apps.common.holdings import Holding, holdings


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Register what the room holds, the security schemes of OpenAPI and the check of the key that signs tokens."""
        from apps.accounts import consistency, erasure
        from apps.accounts.api import schema  # noqa: F401 - registers itself
        from apps.accounts.auth.bearer import signature_check

        register(signature_check)
        holdings.register(
            self.label, Holding(person=erasure.PersonAnswers, checks={"kept answers": consistency.answers_check})
        )
