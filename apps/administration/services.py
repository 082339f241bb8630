"""Changes of accounts with the errors of Admin."""

from typing import Any

from apps.accounts import services
from apps.accounts.models import Account
from apps.common import errors
from apps.common.errors import LunaError


def account_create(**values: Any) -> Account:
    """Create an account as `accounts.services` does.

    Raises LunaError ACCOUNT_EMAIL_OR_ID_EXISTS for a taken login or id, and the errors of `password_hash`.
    """
    try:
        return services.account_create(**values)
    except LunaError as error:
        raise _of_admin(error) from error


def account_update(*, account: Account, **values: Any) -> None:
    """Update an account as `accounts.services` does.

    Raises LunaError ACCOUNT_EMAIL_OR_ID_EXISTS for a taken login, and the errors of `password_hash`.
    """
    try:
        services.account_update(account=account, **values)
    except LunaError as error:
        raise _of_admin(error) from error


def _of_admin(error: LunaError) -> LunaError:
    if error.code in (errors.LOGIN_EXISTS, errors.ACCOUNT_EXISTS):
        return LunaError(errors.ACCOUNT_EMAIL_OR_ID_EXISTS)
    return error
