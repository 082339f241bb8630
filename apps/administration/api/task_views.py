"""Tasks and schedules of all accounts: the views of the API, with the access of Admin."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.urls import URLPattern, path

from apps.accounts.api.administrators import AdministratorView
from apps.tasks.api import urls
from apps.tasks.api.views import TaskBaseView, TaskCreateView, created_by
from apps.tasks.choices import TaskKind
from apps.tasks.types.registry import task_types


class AdminTaskBaseView(AdministratorView, TaskBaseView):
    """The base of the views."""

    permissions: ClassVar = {}
    by_operator: ClassVar[bool] = True
    route_prefix: ClassVar[str] = "admin_"


class AdminTaskCreateView(AdminTaskBaseView, TaskCreateView):
    """Creates tasks of all accounts. Their filters can name one account."""


def task_routes() -> Iterator[URLPattern]:
    """Yield a route for each one of `/6/tasks`. The types that it creates are gc and those of operators."""
    for each in task_types().values():
        if each.operators_only or each.number == TaskKind.GC:
            name = f"{AdminTaskBaseView.route_prefix}task_{each.name}"
            yield path(f"tasks/{each.name}", created_by(each, AdminTaskCreateView).as_view(), name=name)
    for pattern in urls.urlpatterns:
        view: Any = pattern.callback.cls  # type: ignore[attr-defined]  # of DRF
        if not issubclass(view, TaskCreateView):
            admins = type(f"Admin{view.__name__}", (AdminTaskBaseView, view), {"__module__": __name__})
            name = f"{AdminTaskBaseView.route_prefix}{pattern.name}"
            yield path(str(pattern.pattern), admins.as_view(), name=name)  # type: ignore[attr-defined]
