"""Routes of /6/tasks. Each type that clients may create has one."""

from django.urls import path

from apps.tasks.api.views import TaskResultView, TasksView, TaskView, created_by
from apps.tasks.types.registry import task_types

urlpatterns = [
    path("tasks", TasksView.as_view(), name="tasks"),
    *(
        path(f"tasks/{each.name}", created_by(each).as_view(), name=f"task_{each.name}")
        for each in task_types().values()
        if not each.operators_only
    ),
    path("tasks/<str:task_id>", TaskView.as_view(), name="task"),
    path("tasks/<str:task_id>/result", TaskResultView.as_view(), name="task_result"),
]
