"""The form of the login."""

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):
    """Unfold's form, in the words of the platform, whose accounts are no staff."""

    error_messages: ClassVar[dict[str, str | Promise]] = {
        **AuthenticationForm.error_messages,
        "invalid_login": _("Wrong login or password, or an account that may not open these pages."),
    }
