"""The page of descriptor versions in the admin site: which there are, and who has descriptors of them."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from apps.accounts.adminbase import may_view
from apps.descriptors.versions import VersionUse, versions_used
from apps.faces.models import FaceDescriptor
from apps.recognition.networks.specs import Manifest

HEADERS = (
    "version",
    "network",
    "of",
    "dimension",
    "encoding",
    "licence",
    "state",
    "faces with it",
    "faces without",
    "events with it",
)
NOTHING = "—"


@require_safe
def descriptor_versions(request: HttpRequest) -> HttpResponse:
    """Read-only, for who may look at descriptors."""
    if not may_view(request, FaceDescriptor):
        raise PermissionDenied
    rows = [_row(use) for use in versions_used()]
    context = {
        **admin.site.each_context(request),
        "title": "Descriptor versions",
        "table": {"headers": HEADERS, "rows": rows},
    }
    return render(request, "admin/luna/descriptor_versions.html", context)


def _row(use: VersionUse) -> list[object]:
    version, manifest = use.version, use.manifest
    return [
        use.number,
        version.network if version else NOTHING,
        version.kind if version else NOTHING,
        version.dimension if version else NOTHING,
        version.raw_encoding if version else NOTHING,
        _licence(manifest) if manifest else NOTHING,
        _state(use),
        f"{use.faces:,}",
        NOTHING if use.faces_lacking is None else f"{use.faces_lacking:,}",
        f"{use.events:,}",
    ]


def _state(use: VersionUse) -> SafeString:
    """Labels; a version of a network that nobody knows any more can neither be extracted nor compared."""
    words = []
    if use.default:
        words.append("default")
    if use.next_default and not use.default:
        words.append("default from the next start on")
    words.append("unknown" if use.version is None else "installed" if use.installed else "not installed")
    tags = format_html_join(" ", '<span class="luna-tag">{}</span>', ((word,) for word in words))
    return format_html('<span class="luna-nowrap">{}</span>', tags)


def _licence(manifest: Manifest) -> str:
    """Of the package and, where it differs, of the one that it was trained from."""
    package, upstream = manifest.licence.package, manifest.licence.upstream_licence
    return package if package == upstream else f"{package}; upstream: {upstream}"
