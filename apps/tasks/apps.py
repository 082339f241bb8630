from django.apps import AppConfig
from django.core.checks import register


class TasksConfig(AppConfig):
    name = "apps.tasks"
    verbose_name = "Tasks"

    def ready(self) -> None:
        from apps.tasks.types.registry import types_check

        register(types_check)
