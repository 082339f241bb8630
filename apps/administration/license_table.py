"""The licence as the page of information shows it."""

from dataclasses import dataclass
from typing import Any

from django.utils.formats import localize
from django.utils.translation import gettext as _

from apps.accounts.adminbase.display import number_text
from apps.common.refusals import sentence
from apps.licenses.document import Feature
from apps.licenses.selectors import FeatureState, license_state

COUNTED = (Feature.FACES, Feature.LIVENESS, Feature.STREAMS)


@dataclass(frozen=True, slots=True)
class LicenseFacts:
    """Rows of names and values, and texts about what an operator must do."""

    rows: tuple[tuple[str, Any], ...]
    notices: tuple[str, ...]


def license_facts() -> LicenseFacts:
    """Return the licence in force with the consumption of its limits."""
    state = license_state()
    license = state.license
    rows: list[tuple[str, Any]] = [(_("Installation"), state.installation_id)]
    if state.is_open:
        rows.append((_("Licence"), _("open: everything is allowed, without limits")))
    else:
        rows += [
            (_("Licence"), _available(license is not None and not state.is_expired)),
            (_("Licensee"), license.licensee if license else "—"),
            (_("Expires"), _expiry(license.expires_at if license else None, known=license is not None)),
        ]
    for feature, found in state.features.items():
        rows += _rows(feature, found)
    return LicenseFacts(tuple(rows), tuple(map(sentence, state.notices)))


def _rows(feature: Feature, found: FeatureState) -> list[tuple[str, Any]]:
    name = _names()[feature]
    rows = [(name, _available(found.available))]
    if feature not in COUNTED or not found.available:
        return rows
    rows.append((_("%s: limit") % name, _("unlimited") if found.limit is None else number_text(found.limit)))
    if found.rate is not None:
        rows.append((_("%s: used") % name, f"{number_text(found.used or 0)} ({number_text(found.rate, 1)} %)"))
    if feature is Feature.FACES and found.left is not None:
        rows.append((_("%s: limit not exceeded") % name, _("yes") if (found.rate or 0) <= 100 else _("no")))
    if found.left is not None:
        rows.append((_("%s: left") % name, number_text(found.left)))
    return rows


def _available(available: bool) -> str:
    return _("available") if available else _("not available")


def _expiry(moment: Any, *, known: bool) -> str:
    if not known:
        return "—"
    return _("never") if moment is None else localize(moment)


def _names() -> dict[Feature, str]:
    return {
        Feature.FACES: _("Faces with attributes"),
        Feature.LIVENESS: _("Liveness"),
        Feature.DEEPFAKE: _("Deepfake"),
        Feature.ISO: _("ISO checks"),
        Feature.BODY_ATTRIBUTES: _("Body attributes"),
        Feature.PEOPLE_COUNT: _("People counter"),
        Feature.LAMBDA: _("Lambda"),
        Feature.INDEX: _("Index"),
        Feature.STREAMS: _("Streams"),
    }
