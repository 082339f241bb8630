"""Addresses of static files."""

from django.contrib.staticfiles.storage import StaticFilesStorage

from apps.common.links import location


class PrefixedStaticFiles(StaticFilesStorage):
    """Adds the prefix of the request to the addresses. Django adds only the prefix of the process's first request."""

    def url(self, name: str | None) -> str:
        return location(super().url(name))
