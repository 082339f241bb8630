from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConfiguratorConfig(AppConfig):
    name = "apps.configurator"
    verbose_name = "Configurator"

    def ready(self) -> None:
        """Create the rows of the platform's limitations after `migrate`."""
        from apps.configurator.sync import limitations_sync

        post_migrate.connect(limitations_sync, sender=self, dispatch_uid="limitations")
