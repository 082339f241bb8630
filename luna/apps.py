from django.apps import AppConfig


class LunaConfig(AppConfig):
    name = "luna"
    verbose_name = "Luna"

    def ready(self) -> None:
        """Register the Celery application, so that every process sends its tasks through it."""
        import luna.celery  # noqa: F401
