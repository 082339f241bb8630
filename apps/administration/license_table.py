"""The licence as the page of information shows it."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.monitoring.features import features


@dataclass(frozen=True, slots=True)
class LicenseFacts:
    """Rows of names and values, and texts about what an operator must do."""

    rows: tuple[tuple[str, Any], ...]
    notices: tuple[str, ...] = ()


def license_facts() -> LicenseFacts:
    """Return whether the licence is in force."""
    return LicenseFacts(((_("Availability"), _("available") if features()["license"] else _("not available")),))
