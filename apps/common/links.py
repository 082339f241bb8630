"""Links of the API's objects, as answers and messages hold them."""

from django.conf import settings


def external_url(path: str) -> str:
    """Return the address at which clients reach `path`."""
    return f"{settings.LUNA_EXTERNAL_ADDRESS.rstrip('/')}{path}"


def links(path: str) -> dict[str, str]:
    """Return the members `url` and `external_url` of an object at `path`."""
    return {"url": path, "external_url": external_url(path)}
