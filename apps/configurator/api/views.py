"""Views of the Configurator below `/1`, for administrators."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.administrators import AdministratorView
from apps.accounts.auth.access import actor_of
from apps.common import errors
from apps.common.addresses import address
from apps.common.api.responses import created
from apps.common.errors import LunaError
from apps.common.validation import checked_body, checked_data, checked_query
from apps.configurator import selectors, services
from apps.configurator.api.serializers import (
    UNLINK,
    CheckBody,
    CheckQuery,
    ConnectionCheckJson,
    GroupBody,
    GroupPatch,
    GroupsQuery,
    LimitationBody,
    LimitationPatch,
    LimitationsQuery,
    LinkBody,
    PullBody,
    SettingBody,
    SettingIdJson,
    SettingsQuery,
)
from apps.configurator.dumps import dump
from apps.configurator.models import Limitation
from apps.configurator.selectors import SettingFilters
from apps.configurator.services import LimitationDraft, SettingDraft
from apps.configurator.shapes import (
    LimitationJson,
    SettingGroupJson,
    SettingJson,
    SettingsDumpJson,
    group_shape,
    limitation_shape,
    setting_shape,
)

DONE = OpenApiResponse(description="Done.")


def path_setting_id(text: str) -> int:
    """Parse the id of a setting in a path. Raises LunaError SETTING_NOT_FOUND if it is no whole number."""
    if not (text.isascii() and text.isdecimal()):
        raise LunaError(errors.SETTING_NOT_FOUND, text)
    return int(text[:20])


def setting_draft(request: Request) -> SettingDraft:
    body = checked_body(SettingBody, request)
    return SettingDraft(
        name=body["name"],
        value=body["value"],
        description=body.get("description", ""),
        tags=body.get("tags", ()),
    )


class SettingsView(AdministratorView):
    @extend_schema(summary="List settings", parameters=[SettingsQuery], responses={200: list[SettingJson]})
    def get(self, request: Request) -> Response:
        query = checked_query(SettingsQuery, request)
        default = query.get("default")
        filters = SettingFilters(
            names=query.get("name", ()),
            description=query.get("description", ""),
            tags=query.get("tags", ()),
            services=query.get("services", ()),
            groups=query.get("groups", ()),
            default=None if default is None else bool(default),
        )
        return Response([setting_shape(each) for each in selectors.settings_find(filters)])

    @extend_schema(
        summary="Create a setting", parameters=[CheckQuery], request=SettingBody, responses={201: SettingIdJson}
    )
    def post(self, request: Request) -> Response:
        check = bool(checked_query(CheckQuery, request)["check"])
        setting = services.setting_create(draft=setting_draft(request), check=check, actor=actor_of(request))
        return created("id", setting.pk, address("setting", str(setting.pk)))


@extend_schema(
    parameters=[OpenApiParameter("setting", str, "path", description="Id of a setting; for POST, name of a service.")]
)
class SettingView(AdministratorView):
    """A setting by its id. POST has the name of a service in the same place."""

    @extend_schema(summary="Get a setting", responses={200: SettingJson})
    def get(self, request: Request, setting: str) -> Response:
        return Response(setting_shape(selectors.setting_get(path_setting_id(setting))))

    @extend_schema(summary="Replace a setting", parameters=[CheckQuery], request=SettingBody, responses={204: DONE})
    def put(self, request: Request, setting: str) -> Response:
        key = path_setting_id(setting)
        selectors.setting_get(key)  # an unknown one, whatever the body is
        check = bool(checked_query(CheckQuery, request)["check"])
        services.setting_replace(setting_id=key, draft=setting_draft(request), check=check, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete a setting", request=None, responses={204: DONE})
    def delete(self, request: Request, setting: str) -> Response:
        services.setting_delete(setting_id=path_setting_id(setting), actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Get the settings of a service", request=PullBody, responses={200: list[SettingJson]})
    def post(self, request: Request, setting: str) -> Response:
        tags = checked_body(PullBody, request).get("tags", {})
        found = selectors.service_settings(service=setting, tags=tags)
        return Response([setting_shape(each) for each in found])


class SettingCheckView(AdministratorView):
    @extend_schema(summary="Check a value and its connections", request=CheckBody, responses={200: ConnectionCheckJson})
    def post(self, request: Request) -> Response:
        body = checked_body(CheckBody, request)
        count = services.setting_check(draft=SettingDraft(name=body["name"], value=body["value"]))
        answer: ConnectionCheckJson = {"result": "success", "connections": count}
        return Response(answer)


class ServicesView(AdministratorView):
    @extend_schema(summary="List services with settings", responses={200: list[str]})
    def get(self, request: Request) -> Response:
        return Response(selectors.service_names())


class LimitationsView(AdministratorView):
    @extend_schema(summary="List limitations", parameters=[LimitationsQuery], responses={200: list[LimitationJson]})
    def get(self, request: Request) -> Response:
        query = checked_query(LimitationsQuery, request)
        found = selectors.limitations_find(
            names=query.get("name", ()),
            description=query.get("description", ""),
            services=query.get("services", ()),
            groups=query.get("groups", ()),
        )
        return Response([limitation_shape(each) for each in found])


class LimitationView(AdministratorView):
    @extend_schema(summary="Get a limitation", responses={200: LimitationJson})
    def get(self, request: Request, limitation_name: str) -> Response:
        return Response(limitation_shape(selectors.facts_of(selectors.limitation_get(limitation_name))))

    @extend_schema(summary="Create a limitation", request=LimitationBody, responses={201: LimitationJson})
    def put(self, request: Request, limitation_name: str) -> Response:
        name = checked_data(LimitationPatch, {"limitation_name": limitation_name})["limitation_name"]
        body = checked_body(LimitationBody, request)
        limitation = services.limitation_create(
            draft=LimitationDraft(
                name=name,
                schema=body["validation_schema"],
                services=body.get("services", ()),
                default_value=body["default_value"],
                description=body.get("description", ""),
            ),
            groups=body.get("groups", ()),
            actor=actor_of(request),
        )
        return Response(limitation_shape(selectors.facts_of(limitation)), status=status.HTTP_201_CREATED)

    @extend_schema(summary="Change a limitation", request=LimitationPatch, responses={204: DONE})
    def patch(self, request: Request, limitation_name: str) -> Response:
        limitation = selectors.limitation_get(limitation_name)
        body = checked_body(LimitationPatch, request)
        services.limitation_replace(
            name=limitation_name,
            draft=_patched(limitation, body),
            groups=body.get("groups"),
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete a limitation and its settings", request=None, responses={204: DONE})
    def delete(self, request: Request, limitation_name: str) -> Response:
        services.limitation_delete(name=limitation_name, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _patched(limitation: Limitation, body: dict[str, Any]) -> LimitationDraft:
    members: dict[str, Any] = {
        "name": limitation.limitation_name,
        "schema": limitation.validation_schema,
        "services": limitation.services,
        "default_value": limitation.default_value,
        "description": limitation.description,
    }
    renamed = {"limitation_name": "name", "validation_schema": "schema"}
    changes = {renamed.get(key, key): value for key, value in body.items() if key != "groups"}
    return LimitationDraft(**{**members, **changes})


class GroupsView(AdministratorView):
    @extend_schema(
        summary="List groups of limitations", parameters=[GroupsQuery], responses={200: list[SettingGroupJson]}
    )
    def get(self, request: Request) -> Response:
        query = checked_query(GroupsQuery, request)
        found = selectors.groups_find(names=query.get("name", ()), limitations=query.get("limitations", ()))
        return Response([group_shape(each) for each in found])

    @extend_schema(summary="Create a group of limitations", request=GroupBody, responses={201: SettingGroupJson})
    def post(self, request: Request) -> Response:
        body = checked_body(GroupBody, request)
        group = services.group_create(
            name=body["group_name"],
            description=body.get("description", ""),
            limitations=body.get("limitations", ()),
            actor=actor_of(request),
        )
        return Response(group_shape(group), status=status.HTTP_201_CREATED)

    @extend_schema(summary="Link limitations to groups, or unlink them", request=LinkBody, responses={204: DONE})
    def patch(self, request: Request) -> Response:
        body = checked_body(LinkBody, request)
        services.groups_link(
            groups=body["groups"],
            limitations=body["limitations"],
            unlink=body["action"] == UNLINK,
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class GroupView(AdministratorView):
    @extend_schema(summary="Get a group of limitations", responses={200: SettingGroupJson})
    def get(self, request: Request, group_name: str) -> Response:
        return Response(group_shape(selectors.group_get(group_name)))

    @extend_schema(summary="Change a group of limitations", request=GroupPatch, responses={204: DONE})
    def patch(self, request: Request, group_name: str) -> Response:
        selectors.group_get(group_name)
        body = checked_body(GroupPatch, request)
        services.group_update(
            name=group_name,
            description=body.get("description"),
            limitations=body.get("limitations"),
            actor=actor_of(request),
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(summary="Delete a group of limitations", request=None, responses={204: DONE})
    def delete(self, request: Request, group_name: str) -> Response:
        services.group_delete(name=group_name, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class DumpView(AdministratorView):
    @extend_schema(summary="Dump all settings", responses={200: SettingsDumpJson})
    def get(self, request: Request) -> Response:
        return Response(dump())
