from django.apps import AppConfig

from apps.common.rotation import SealedColumn, register_sealed


class HandlersConfig(AppConfig):
    name = "apps.handlers"
    verbose_name = "Handlers"

    def ready(self) -> None:
        register_sealed(SealedColumn("handlers.Handler", "policies"))
