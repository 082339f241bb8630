from django.apps import AppConfig


class LunaConfig(AppConfig):
    name = "luna"
    verbose_name = "Luna"

    def ready(self) -> None:
        """Make our Celery application the one that tasks of every process are sent through."""
        import luna.celery  # noqa: F401
