"""Views of /6/tasks."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope, write_account
from apps.accounts.selectors import account_get
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import count_serializer
from apps.common.api.views import LunaView
from apps.common.errors import LunaError
from apps.common.links import links, location
from apps.common.paging import Page
from apps.common.parts import TASKS
from apps.common.scope import Scope
from apps.common.validation import checked_body, checked_query
from apps.imagestore.api.content import content_response, head_response
from apps.imagestore.models import StoredObject
from apps.tasks import selectors, services
from apps.tasks.api.serializers import (
    PartsQuery,
    PolicyBody,
    PolicyJson,
    SubtasksJson,
    TaskAccountQuery,
    TaskBody,
    TaskCreatedJson,
    TaskJson,
    TasksJson,
    TasksQuery,
    body_of,
)
from apps.tasks.api.shapes import subtask_body, task_body
from apps.tasks.filters import scope_narrowed
from apps.tasks.notifications import policy_check, policy_mask
from apps.tasks.results import TaskResultJson
from apps.tasks.terms import TaskFilterSerializer
from apps.tasks.types.base import JSON_TYPE, ZIP_TYPE, TaskType

NOTHING = OpenApiResponse(description="Done.")


def path_number(text: str, error_code: int) -> int:
    """Parse an id in a path. Raises LunaError `error_code` (a 404) if it is not a whole number."""
    if not (text.isascii() and text.isdigit()):
        raise LunaError(error_code, text)
    return int(text[:20])


def path_task_id(text: str) -> int:
    """Parse the id of a task in a path. Raises LunaError TASK_NOT_FOUND if it is not a whole number."""
    return path_number(text, errors.TASK_NOT_FOUND)


class TaskBaseView(LunaView):
    """The base of views of tasks.

    `by_operator`: the views change tasks of all accounts, and create tasks for any account or for all accounts. Other
    views change and create tasks of the client's account. `route_prefix`: that of the names of the views' routes.
    """

    parts = (TASKS,)
    by_operator: ClassVar[bool] = False
    route_prefix: ClassVar[str] = ""

    def changed_scope(self, request: Request) -> Scope:
        """Return the scope of changes."""
        return Scope(None if self.by_operator else write_account(request))

    def owner(self, request: Request, body: Mapping[str, Any]) -> UUID | None:
        """Return the account of a new task or schedule; None for one of all accounts.

        Raises LunaError FOREIGN_ACCOUNT_ID if the client's body names another account, ACCOUNT_NOT_FOUND if that of an
        operator names an unknown one.
        """
        owner = scope_narrowed(self.changed_scope(request), [body.get("account_id")]).account_id
        if owner is not None and self.by_operator:
            account_get(owner)
        return owner

    def address_of(self, route: str, number: int) -> str:
        """Return the path of a new object."""
        return address(f"{self.route_prefix}{route}", str(number))


class TaskCreateView(TaskBaseView):
    """Creates tasks of one type; `created_by` makes the views."""

    task_type: TaskType
    permissions: ClassVar = {"POST": ("task", "creation")}

    def create(self, request: Request) -> Response:
        body = checked_body(TaskBody, request)
        task = services.task_create(
            task_type=self.task_type,
            account_id=self.owner(request, body),
            draft=services.TaskDraft(
                content=body["content"],
                description=body["description"],
                result_ttl_days=body.get("result_storage_policy", {}).get("ttl"),
                notification_policy=body.get("notification_policy"),
            ),
            actor=actor_of(request),
        )
        path = self.address_of("task", task.task_id)
        answer: TaskCreatedJson = {"task_id": task.task_id, **links(path)}
        return Response(answer, status=status.HTTP_202_ACCEPTED, headers={"Location": location(path)})


def created_by(task_type: TaskType, base: type[TaskCreateView] = TaskCreateView) -> type[TaskCreateView]:
    """Return the view that creates tasks of a type."""

    @extend_schema(
        summary=f"Create a task of the type {task_type.name}",
        operation_id=f"{base.route_prefix}tasks_{task_type.name}_create",
        request=body_of(task_type),
        responses={202: TaskCreatedJson},
    )
    def post(self: TaskCreateView, request: Request) -> Response:
        return self.create(request)

    return type(f"{task_type.name}_view", (base,), {"task_type": task_type, "post": post})


class TasksView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(summary="get tasks", parameters=[TasksQuery], responses={200: TasksJson})
    def get(self, request: Request) -> Response:
        query = checked_query(TasksQuery, request)
        page = Page(query["page"], query["page_size"])
        tasks = selectors.tasks_page(scope=read_scope(request), filters=query["filters"], page=page)
        return Response({"tasks": [task_body(each) for each in tasks]})


class TasksCountView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(
        summary="get tasks count",
        parameters=[TaskFilterSerializer],
        responses={200: count_serializer("tasks_count")},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(TaskFilterSerializer, request)
        tasks = selectors.tasks_filter(scope=read_scope(request), filters=query["filters"])
        return Response({"tasks_count": tasks.count()})


class TaskView(TaskBaseView):
    permissions: ClassVar = {
        "GET": ("task", "view"),
        "PATCH": ("task", "modification"),
        "DELETE": ("task", "deletion"),
    }

    def initial(self, request: Request, *args: object, **kwargs: object) -> None:
        """Raise PAGE_NOT_FOUND instead of METHOD_NOT_ALLOWED for the creation of a task of an unknown type.

        Raises LunaError LAMBDA_DISABLED for a task of a lambda.
        """
        if request.method == "POST" and kwargs["task_id"] == "lambda":
            raise LunaError(errors.LAMBDA_DISABLED)
        if request.method == "POST" and not (str(kwargs["task_id"]).isascii() and str(kwargs["task_id"]).isdigit()):
            raise LunaError(errors.PAGE_NOT_FOUND)
        super().initial(request, *args, **kwargs)

    @extend_schema(summary="get task", parameters=[TaskAccountQuery], responses={200: TaskJson})
    def get(self, request: Request, task_id: str) -> Response:
        return Response(task_body(selectors.task_get(scope=read_scope(request), task_id=path_task_id(task_id))))

    @extend_schema(summary="cancel task", request=None, responses={204: NOTHING})
    def patch(self, request: Request, task_id: str) -> Response:
        services.task_cancel(scope=self.changed_scope(request), task_id=path_task_id(task_id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="delete task", responses={204: NOTHING})
    def delete(self, request: Request, task_id: str) -> Response:
        services.task_delete(scope=self.changed_scope(request), task_id=path_task_id(task_id), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class TaskResultView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(
        summary="get task result",
        parameters=[TaskAccountQuery],
        responses={(200, JSON_TYPE): TaskResultJson, (200, ZIP_TYPE): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, task_id: str) -> HttpResponseBase:
        key = path_task_id(task_id)
        stored = services.task_result_view(scope=read_scope(request), task_id=key, actor=actor_of(request))
        return content_response(request, stored, result_headers(stored, f"task_{key}"))

    def head(self, request: Request, task_id: str) -> HttpResponseBase:
        key = path_task_id(task_id)
        stored = selectors.task_result(scope=read_scope(request), task_id=key)
        return head_response(stored, result_headers(stored, f"task_{key}"))


class SubtasksView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(summary="get subtasks", parameters=[PartsQuery], responses={200: SubtasksJson})
    def get(self, request: Request, task_id: str) -> Response:
        query = checked_query(PartsQuery, request)
        page = Page(query["page"], query["page_size"])
        found = selectors.subtasks_page(scope=read_scope(request), task_id=path_task_id(task_id), page=page)
        return Response({"subtasks": [subtask_body(each) for each in found]})


class SubtaskResultView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(
        summary="get subtask result",
        parameters=[TaskAccountQuery],
        responses={(200, JSON_TYPE): TaskResultJson, (200, ZIP_TYPE): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, task_id: str, subtask_id: str) -> HttpResponseBase:
        key, part = path_task_id(task_id), path_task_id(subtask_id)
        stored = services.subtask_result_view(
            scope=read_scope(request), task_id=key, subtask_id=part, actor=actor_of(request)
        )
        return content_response(request, stored, result_headers(stored, f"task_{key}_{part}"))

    def head(self, request: Request, task_id: str, subtask_id: str) -> HttpResponseBase:
        key, part = path_task_id(task_id), path_task_id(subtask_id)
        stored = selectors.subtask_result(scope=read_scope(request), task_id=key, subtask_id=part)
        return head_response(stored, result_headers(stored, f"task_{key}_{part}"))


class TaskPolicyView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view"), "PUT": ("task", "modification")}

    @extend_schema(summary="get task notification policy", parameters=[TaskAccountQuery], responses={200: PolicyJson})
    def get(self, request: Request, task_id: str) -> Response:
        task = selectors.task_get(scope=read_scope(request), task_id=path_task_id(task_id))
        policy_check(task.notification_policy)
        return Response({"notification_policy": policy_mask(task.notification_policy)})

    @extend_schema(summary="replace task notification policy", request=PolicyBody, responses={204: NOTHING})
    def put(self, request: Request, task_id: str) -> Response:
        key = path_task_id(task_id)
        policy = checked_body(PolicyBody, request)["notification_policy"]
        services.task_policy_replace(scope=self.changed_scope(request), task_id=key, policy=policy)
        return Response(status=status.HTTP_204_NO_CONTENT)


def result_headers(stored: StoredObject, name: str) -> dict[str, str]:
    """Return the headers that make an archive an attachment of this name."""
    if stored.content_type != ZIP_TYPE:
        return {}
    return {"Content-Disposition": f'attachment; filename="{name}.zip"'}
