"""Causes of integrity errors: a duplicate key, or an account that was deleted at the same time."""

import re

from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation, UniqueViolation

KEY_TO_ACCOUNT = "_account_id_"  # part of the name of each foreign key to an account
VALUE = re.compile(r"\(account_id\)=\(([0-9a-f-]{36})\)")


def is_taken(error: IntegrityError) -> bool:
    """Return whether the error is a unique violation."""
    return isinstance(error.__cause__, UniqueViolation)


def lost_account(error: IntegrityError) -> str | None:
    """Return the id of the missing account that the error names; None for other errors."""
    cause = error.__cause__
    if not isinstance(cause, ForeignKeyViolation) or KEY_TO_ACCOUNT not in (cause.diag.constraint_name or ""):
        return None
    named = VALUE.search(cause.diag.message_detail or "")
    return named[1] if named else None
