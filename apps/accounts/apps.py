from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from apps.accounts.api import schema  # noqa: F401 - registers itself
        from apps.accounts.auth.bearer import signature

        signature()  # a key that cannot be used stops the start, not the first request
