"""View of POST /6/events/stats."""

from dataclasses import replace
from typing import Any, ClassVar, TypedDict

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.auth.access import principal_of_request, read_scope
from apps.accounts.selectors import account_get
from apps.common.api.views import LunaView
from apps.common.parts import EVENTS
from apps.common.validation import checked_body
from apps.events.api.statistics_serializers import StatisticsBody
from apps.events.statistics import Question, events_statistics

EXAMPLE = {
    "filters": [{"column": "source", "operator": "in", "value": ["gate", "lobby"]}],
    "targets": [{"column": "event_id", "aggregator": "count"}, {"column": "age", "aggregator": "avg"}],
    "period": ["now-30d", None],
    "group_by": ["1d", "source"],
    "time_zone": "Europe/Berlin",
}
ANSWER = {
    "statistic": [
        {"create_time": "2026-03-13T23:00:00.000000Z", "source": "gate", "event_id__count": 214, "age__avg": 37.5}
    ]
}


class StatisticsJson(TypedDict):
    statistic: list[dict[str, Any]]


class StatisticsView(LunaView):
    parts = (EVENTS,)
    permissions: ClassVar = {"POST": ("event", "view")}

    @extend_schema(
        summary="get statistics of events",
        operation_id="post_event_statistics",
        description="Aggregates columns of the events that meet all conditions. Each row of `statistic` has the values "
        "of the groupings (`<column>`, or `<column>__<frequency>`) and of the targets (`<column>__<aggregator>`); rows "
        "are ordered by the groupings. Times are the beginnings of intervals.",
        request=StatisticsBody,
        responses={200: StatisticsJson},
        examples=[
            OpenApiExample("a day and a camera", value=EXAMPLE, request_only=True),
            OpenApiExample("one row", value=ANSWER, response_only=True, status_codes=["200"]),
        ],
    )
    def post(self, request: Request) -> Response:
        question: Question = checked_body(StatisticsBody, request)["question"]
        if not question.time_zone:
            account = account_get(principal_of_request(request).account_id)
            question = replace(question, time_zone=account.time_zone)
        return Response({"statistic": events_statistics(scope=read_scope(request), question=question)})
