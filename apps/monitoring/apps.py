from django.apps import AppConfig
from django.core.checks import register


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"
    verbose_name = "Monitoring"

    def ready(self) -> None:
        """Register the check of traces."""
        from apps.monitoring.traces import traces_check

        register(traces_check)
