from django.apps import AppConfig, apps
from django.core.checks import register
from django.db.models.signals import post_migrate

from apps.common.holdings import Holding, holdings


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        """Register the room's data, the OpenAPI security schemes, the check of the signing key and the roles."""
        from apps.accounts import consistency, erasure
        from apps.accounts.api import schema  # noqa: F401 - registers itself
        from apps.accounts.auth.bearer import signature_check
        from apps.accounts.kept_answers import answers_count
        from apps.accounts.roles import roles_sync

        register(signature_check)
        *_, last = (config for config in apps.get_app_configs() if config.models_module)
        # The signal of the last app with models comes after the permissions of all models exist.
        post_migrate.connect(roles_sync, sender=last, dispatch_uid="roles")
        holdings.register(
            self.label,
            Holding(
                account_count=answers_count,
                person=erasure.PersonAnswers,
                checks={"kept answers": consistency.answers_check},
            ),
        )
