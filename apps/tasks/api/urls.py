"""Routes of /6/tasks. Each type that clients may create has one."""

from django.urls import path

from apps.tasks.api.error_views import TaskErrorsCountView, TaskErrorsView, TaskErrorView, TasksErrorsView
from apps.tasks.api.schedule_views import SchedulesView, ScheduleView
from apps.tasks.api.views import (
    SubtaskResultView,
    SubtasksView,
    TaskPolicyView,
    TaskResultView,
    TasksCountView,
    TasksView,
    TaskView,
    created_by,
)
from apps.tasks.types.registry import task_types

urlpatterns = [
    path("tasks", TasksView.as_view(), name="tasks"),
    *(
        path(f"tasks/{each.name}", created_by(each).as_view(), name=f"task_{each.name}")
        for each in task_types().values()
        if not each.operators_only
    ),
    path("tasks/count", TasksCountView.as_view(), name="tasks_count"),
    path("tasks/errors", TasksErrorsView.as_view(), name="tasks_errors"),
    path("tasks/errors/count", TaskErrorsCountView.as_view(), name="tasks_errors_count"),
    path("tasks/errors/<str:error_id>", TaskErrorView.as_view(), name="task_error"),
    path("tasks/schedules", SchedulesView.as_view(), name="schedules"),
    path("tasks/schedules/<str:schedule_id>", ScheduleView.as_view(), name="schedule"),
    path("tasks/<str:task_id>", TaskView.as_view(), name="task"),
    path("tasks/<str:task_id>/result", TaskResultView.as_view(), name="task_result"),
    path("tasks/<str:task_id>/errors", TaskErrorsView.as_view(), name="task_errors"),
    path("tasks/<str:task_id>/notification_policy", TaskPolicyView.as_view(), name="task_notification_policy"),
    path("tasks/<str:task_id>/subtasks", SubtasksView.as_view(), name="subtasks"),
    path("tasks/<str:task_id>/subtasks/<str:subtask_id>/result", SubtaskResultView.as_view(), name="subtask_result"),
]
