"""Views of versions, features and health. All are public."""

import time
from typing import Annotated, Any, Literal, TypedDict

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common import errors
from apps.common.api.views import LunaView
from apps.common.errors import ErrorBodyJson, LunaError
from apps.common.fields import FlagField
from apps.common.json_types import Example
from apps.common.validation import checked_query
from apps.monitoring.features import features
from apps.monitoring.health import CheckResult, checks
from apps.monitoring.metrics.exposition import exposition, require_reader
from apps.monitoring.service_versions import SERVICE_API_VERSION, service_version, versions


class HealthQuery(serializers.Serializer[Any]):
    include_luna_services = FlagField(
        default=False, help_text="1: also check the parts of the platform, not only its databases."
    )


class ComponentJson(TypedDict):
    name: str
    status: Literal["ok", "failed"]
    error: str | None
    execution_time: Annotated[float, "Seconds."]


class HealthJson(TypedDict):
    execution_time: Annotated[float, "Seconds."]
    components: list[ComponentJson]


class UnhealthyJson(ErrorBodyJson):
    """The error body, with the components."""

    components: list[ComponentJson]


VersionsJson = Annotated[
    dict[str, dict[str, int]],
    "Versions by name of the platform or of its part.",
    Example({"LUNA PLATFORM": {"major": 5, "minor": 67, "patch": 0}}),
]


class VersionView(LunaView):
    public = True
    licensed = False

    @extend_schema(
        summary="Versions of the platform and its parts",
        responses={200: VersionsJson},
    )
    def get(self, request: Request) -> Response:
        return Response(versions())


ServiceVersionJson = Annotated[
    dict[str, dict[str, int]],
    "The version of the service.",
    Example({"Version": {"api": 4, "major": 5, "minor": 67, "patch": 0}}),
]


class ServiceVersionView(LunaView):
    """Version of a service with its own port. `api`: the version of its paths."""

    public = True
    licensed = False
    api = SERVICE_API_VERSION

    @extend_schema(summary="Version of the service", responses={200: ServiceVersionJson})
    def get(self, request: Request) -> Response:
        return Response(service_version(self.api))


class FeaturesSerializer(serializers.Serializer[Any]):
    license = serializers.BooleanField()
    estimations = serializers.DictField(child=serializers.BooleanField())
    unavailable_estimations = serializers.ListField(
        child=serializers.CharField(), help_text="Those for which no network is installed: answers hold null."
    )
    components = serializers.DictField(child=serializers.BooleanField())
    limits = serializers.DictField(
        child=serializers.IntegerField(), help_text="Limits of requests in bytes, pixels and numbers of items."
    )


class FeaturesView(LunaView):
    public = True
    licensed = False

    @extend_schema(summary="Features of this installation", responses=FeaturesSerializer)
    def get(self, request: Request) -> Response:
        return Response(features())


class HealthView(LunaView):
    public = True
    licensed = False

    @extend_schema(
        summary="Health of the platform",
        parameters=[HealthQuery],
        responses={200: HealthJson, 502: UnhealthyJson},
    )
    def get(self, request: Request) -> Response:
        query = checked_query(HealthQuery, request)
        start_s = time.perf_counter()
        results = checks.run(all_services=query["include_luna_services"])
        components = [component(result) for result in results]
        failed = [f"{result.name}: {result.reason}" for result in results if not result.healthy]
        if failed:
            error = LunaError(errors.HEALTH_CHECK_FAILED, "; ".join(failed))
            return Response({**error.body(), "components": components}, status=error.status)
        return Response({"execution_time": round(time.perf_counter() - start_s, 6), "components": components})


class MetricsView(LunaView):
    public = True
    licensed = False

    @extend_schema(
        summary="Metrics for Prometheus",
        description="Off by default (403). Readers need the token of the setting, or are on the same machine.",
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        require_reader(request.META)
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def component(result: CheckResult) -> ComponentJson:
    return {
        "name": result.name,
        "status": "ok" if result.healthy else "failed",
        "error": result.reason,
        "execution_time": result.execution_time,
    }
