"""Admin page of descriptor versions: their networks, and the numbers of faces and events that have them."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.accounts.adminbase.display import NOTHING, may_view, number_text, tags
from apps.accounts.adminbase.filters import readable
from apps.descriptors.versions import VersionUse, versions_used
from apps.faces.models import FaceDescriptor
from apps.recognition.networks.specs import Manifest

HEADERS = (
    _("version"),
    _("network"),
    _("of"),
    _("dimension"),
    _("encoding"),
    _("licence"),
    _("state"),
    _("faces with"),
    _("faces without"),
    _("events with"),
)


@require_safe
def descriptor_versions(request: HttpRequest) -> HttpResponse:
    """Render the read-only page of descriptor versions.

    Raises PermissionDenied for a user without permission to view descriptors.
    """
    if not may_view(request.user, FaceDescriptor):
        raise PermissionDenied
    rows = [_row(use) for use in versions_used()]
    context = {
        **admin.site.each_context(request),
        "title": _("Descriptor versions"),
        "table": {"headers": HEADERS, "rows": rows},
    }
    return render(request, "admin/luna/descriptor_versions.html", context)


def _row(use: VersionUse) -> list[object]:
    version, manifest = use.version, use.manifest
    return [
        use.number,
        version.network if version else NOTHING,
        readable(version.kind) if version else NOTHING,
        version.dimension if version else NOTHING,
        version.raw_encoding if version else NOTHING,
        _licence(manifest) if manifest else NOTHING,
        _state(use),
        number_text(use.faces),
        NOTHING if use.faces_lacking is None else number_text(use.faces_lacking),
        number_text(use.events),
    ]


def _state(use: VersionUse) -> SafeString:
    """Return the labels of a version. An `unknown` version has no network: it cannot be extracted or matched."""
    words = []
    if use.default:
        words.append(_("default"))
    if use.next_default and not use.default:
        words.append(_("default after restart"))
    words.append(_("unknown") if use.version is None else _("installed") if use.installed else _("not installed"))
    return format_html('<span class="luna-nowrap">{}</span>', tags(words))


def _licence(manifest: Manifest) -> str:
    """Return the licence of the package, and the licence of its upstream if it differs."""
    package, upstream = manifest.licence.package, manifest.licence.upstream_licence
    return (
        package
        if package == upstream
        else _("%(package)s; upstream: %(upstream)s") % {"package": package, "upstream": upstream}
    )
