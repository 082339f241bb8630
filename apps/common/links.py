"""Links to the API's objects in responses, notifications and callbacks."""

from apps.common.config import ExternalAddress, config


def external_url(path: str) -> str:
    """Return the address at which clients reach `path`."""
    return f"{config(ExternalAddress).origin}{path}"


def links(path: str) -> dict[str, str]:
    """Return the members `url` and `external_url` of an object at `path`."""
    return {"url": path, "external_url": external_url(path)}
