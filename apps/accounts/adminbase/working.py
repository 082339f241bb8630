"""The account in which an operator works: pages that store rows begin with it."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest

from apps.accounts.models import Account
from apps.common.fields import parse_uuid

ACCOUNT_KEY = "workbench_account"  # of the session


def account_chosen(request: HttpRequest) -> Account:
    """Return the chosen account of the session, else the operator's own."""
    wanted: UUID | None = parse_uuid(str(request.session.get(ACCOUNT_KEY, "")))
    found = Account.objects.filter(pk=wanted, is_active=True).first() if wanted else None
    own: Any = request.user
    return found or own
