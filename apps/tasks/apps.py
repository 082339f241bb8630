from django.apps import AppConfig
from django.core.checks import register

from apps.common.holdings import Holding, holdings
from apps.common.rotation import SealedColumn, register_sealed


class TasksConfig(AppConfig):
    name = "apps.tasks"
    verbose_name = "Tasks"

    def ready(self) -> None:
        from apps.monitoring.metrics.sources import sources
        from apps.tasks import consistency, erasure
        from apps.tasks.metrics import SOURCE
        from apps.tasks.types.registry import types_check

        register(types_check)
        sources.register(SOURCE)
        register_sealed(
            *(
                SealedColumn(f"tasks.{model}", column)
                for model in ("Task", "Schedule")
                for column in ("content", "notification_policy")
            )
        )
        holdings.register(
            self.label,
            Holding(
                account=erasure.results_erase,
                person=erasure.PersonTasks,
                checks={"results of tasks": consistency.results_check, "tasks": consistency.tasks_check},
            ),
        )
