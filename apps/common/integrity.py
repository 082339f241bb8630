"""Why PostgreSQL refused a row: its key is taken, or the account that it belongs to has gone meanwhile."""

import re

from django.db import IntegrityError
from psycopg.errors import ForeignKeyViolation, UniqueViolation

KEY_TO_ACCOUNT = "_account_id_"  # in the name of each foreign key from a row to its account
VALUE = re.compile(r"\(account_id\)=\(([0-9a-f-]{36})\)")


def is_taken(error: IntegrityError) -> bool:
    """Whether a row with the same unique key was there."""
    return isinstance(error.__cause__, UniqueViolation)


def lost_account(error: IntegrityError) -> str | None:
    """The id of the account that is not there any more; None where something else was refused."""
    cause = error.__cause__
    if not isinstance(cause, ForeignKeyViolation) or KEY_TO_ACCOUNT not in (cause.diag.constraint_name or ""):
        return None
    named = VALUE.search(cause.diag.message_detail or "")
    return named[1] if named else None
