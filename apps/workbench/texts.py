"""Texts of operators: names and external ids, within the limits of the API."""

from django.utils.translation import gettext as _

from apps.faces.models import Face
from apps.workbench.errors import WorkbenchError

NAME_CHARACTERS = Face._meta.get_field("user_data").max_length or 128
EXTERNAL_ID_CHARACTERS = Face._meta.get_field("external_id").max_length or 36


def checked_name(text: str) -> str:
    """Return the user data of a face without outer spaces. Raises WorkbenchError for a text that is not accepted."""
    return _checked(text, NAME_CHARACTERS, _("The name"))


def checked_external_id(text: str) -> str:
    """Return an external id without outer spaces. Raises WorkbenchError for a text that is not accepted."""
    return _checked(text, EXTERNAL_ID_CHARACTERS, _("The external id"))


def _checked(text: str, most: int, what: str) -> str:
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise WorkbenchError(
            _("%(what)s must have at most %(most)d printable characters, got %(got)d.")
            % {"what": what, "most": most, "got": len(text)}
        )
    return text
