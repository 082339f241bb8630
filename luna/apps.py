from django.apps import AppConfig
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.db import reset_queries


class LunaConfig(AppConfig):
    name = "luna"
    verbose_name = "Luna"

    def ready(self) -> None:
        """Register the Celery application, through which every process sends its tasks, and effects of settings."""
        import luna.celery  # noqa: F401
        from apps.common.config import after_refresh
        from luna.settings import hosts, logging

        after_refresh.extend((logging.apply_changes, hosts.apply_changes))

        # Receivers without effect here: queries are only logged with `DEBUG`, and the caches keep their connections.
        request_started.disconnect(reset_queries)
        request_finished.disconnect(close_caches)
