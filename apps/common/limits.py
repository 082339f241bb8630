"""Limits of requests: the sizes that errors name, and those that `/6/features` shows."""

from functools import cache

from apps.common import errors
from apps.common.config import Http, Images, Paging, PlatformLimits, Settings, config
from apps.common.config.groups import GROUPS
from apps.common.errors import LunaError


def too_large(what: str, limit: tuple[type[Settings], str] | int) -> LunaError:
    """Return the error PAYLOAD_TOO_LARGE for a part of a request, such as "the body".

    `limit`: group and field of the setting in bytes, or a fixed number of bytes.
    """
    if isinstance(limit, int):
        return LunaError(errors.PAYLOAD_TOO_LARGE, f"{what} exceeds {limit} bytes")
    group, field = limit
    max_bytes = getattr(config(group), field)
    return LunaError(errors.PAYLOAD_TOO_LARGE, f"{what} exceeds {max_bytes} bytes (`{variable(group, field)}`)")


def body_too_large() -> LunaError:
    """Return the error of a body above the limit of all bodies."""
    return too_large("the body", (Http, "request_max_size"))


def image_too_large(what: str = "the image") -> LunaError:
    """Return the error of an encoded image above its limit."""
    return too_large(what, (Images, "max_bytes"))


@cache
def variable(group: type[Settings], field: str) -> str:
    """Return the environment variable of a field."""
    return next(each.names[0] for each in GROUPS[group].variables if each.path == (field,))


def request_limits() -> dict[str, int]:
    """Return the limits that a client may need to know; sizes are in bytes."""
    http, images, paging, match = config(Http), config(Images), config(Paging), config(PlatformLimits).match
    return {
        "max_body_bytes": http.request_max_size,
        "max_json_bytes": http.json_max_size,
        "max_image_bytes": images.max_bytes,
        "max_image_pixels": images.max_pixels,
        "max_page_size": paging.max_page_size,
        "max_match_references": match.reference_limit,
        "max_match_candidates": match.candidate_limit,
        "max_match_results": match.result_candidate_limit,
        "max_filter_ids": match.array_filter_limit,
    }
