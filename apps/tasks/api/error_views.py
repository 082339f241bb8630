"""Views of errors of tasks."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import actor_of, read_scope
from apps.common import errors
from apps.common.api.responses import count_serializer
from apps.common.paging import Page
from apps.common.validation import checked_query
from apps.tasks import selectors, services
from apps.tasks.api.serializers import ErrorsQuery, PartsQuery, TaskAccountQuery, TaskErrorsJson
from apps.tasks.api.views import NOTHING, TaskBaseView, path_number, path_task_id
from apps.tasks.results import TaskErrorJson, error_body
from apps.tasks.terms import ErrorFilterSerializer


class TaskErrorsView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(summary="get errors of task", parameters=[PartsQuery], responses={200: TaskErrorsJson})
    def get(self, request: Request, task_id: str) -> Response:
        query = checked_query(PartsQuery, request)
        page = Page(query["page"], query["page_size"])
        found = selectors.task_errors_page(scope=read_scope(request), task_id=path_task_id(task_id), page=page)
        return Response({"errors": [error_body(each) for each in found]})


class TasksErrorsView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(summary="get errors of tasks", parameters=[ErrorsQuery], responses={200: TaskErrorsJson})
    def get(self, request: Request) -> Response:
        query = checked_query(ErrorsQuery, request)
        page = Page(query["page"], query["page_size"])
        found = selectors.errors_page(scope=read_scope(request), filters=query["filters"], page=page)
        return Response({"errors": [error_body(each) for each in found]})


class TaskErrorsCountView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view")}

    @extend_schema(
        summary="get errors of tasks count",
        parameters=[ErrorFilterSerializer],
        responses={200: count_serializer("task_error_count")},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(ErrorFilterSerializer, request)
        found = selectors.errors_filter(scope=read_scope(request), filters=query["filters"])
        return Response({"task_error_count": found.count()})


class TaskErrorView(TaskBaseView):
    permissions: ClassVar = {"GET": ("task", "view"), "DELETE": ("task", "deletion")}

    @extend_schema(summary="get error of task", parameters=[TaskAccountQuery], responses={200: TaskErrorJson})
    def get(self, request: Request, error_id: str) -> Response:
        key = path_number(error_id, errors.TASK_ERROR_NOT_FOUND)
        return Response(error_body(selectors.task_error_get(scope=read_scope(request), error_id=key)))

    @extend_schema(summary="delete error of task", request=None, responses={204: NOTHING})
    def delete(self, request: Request, error_id: str) -> Response:
        key = path_number(error_id, errors.TASK_ERROR_NOT_FOUND)
        services.task_error_delete(scope=self.changed_scope(request), error_id=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
