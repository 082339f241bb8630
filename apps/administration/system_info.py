"""The system information: what support needs to know about an installation."""

from typing import Annotated, TypedDict

from apps.administration.masking import masked
from apps.common.config import GROUPS, config, version
from apps.common.json_types import Example, Json, TimeJson
from apps.common.times import format_time, utc_now
from apps.descriptors.versions import versions_used
from apps.licenses.selectors import license_state
from apps.licenses.shapes import LicenseJson, license_shape
from apps.monitoring.service_versions import versions
from apps.monitoring.usage import UsageJson, usage

FILE_HEADERS = {"Content-Disposition": 'attachment; filename="luna_sys_info.json"', "Cache-Control": "no-store"}


class DescriptorCountJson(TypedDict):
    """Numbers of the faces and events that have a descriptor of a version."""

    descriptor_version: int
    faces: int
    events: int


class SystemInfoJson(TypedDict):
    """The system information. Secrets among the settings are masked."""

    create_time: TimeJson
    luna_version: Annotated[str, "The version of Luna."]
    versions: Annotated[
        dict[str, dict[str, int]],
        "The implemented version of LUNA PLATFORM and its services.",
        Example({"LUNA PLATFORM": {"major": 5, "minor": 67, "patch": 0}}),
    ]
    descriptors: list[DescriptorCountJson]
    settings: Annotated[Json, "The settings of this process by group."]
    license: LicenseJson
    stats: UsageJson


def system_info() -> SystemInfoJson:
    """Return the system information. It counts all descriptors: seconds for millions of them."""
    return {
        "create_time": format_time(utc_now()),
        "luna_version": version(),
        "versions": versions(),
        "descriptors": [
            {"descriptor_version": each.number, "faces": each.faces, "events": each.events} for each in versions_used()
        ],
        "settings": settings_shown(),
        "license": license_shape(license_state()),
        "stats": usage(),
    }


def settings_shown() -> Json:
    """Return the values of all settings by group, with masks instead of secrets."""
    by_name = sorted((group.name, model) for model, group in GROUPS.items())
    return {name: masked(config(model).model_dump(mode="json")) for name, model in by_name}
