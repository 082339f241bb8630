"""The authenticated client, as views, services and the audit log see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from apps.accounts.choices import AccountType, VisibilityArea


@dataclass(frozen=True, slots=True)
class Principal:
    """`request.user` of the API: an account and, with a bearer token, the token's restrictions.

    `permissions` is None without a token; then the account type alone decides. `verified` is False for a
    `Luna-Account-Id`, which contains no secret. `password_hash` is the stored hash of the password that was verified.
    """

    account_id: UUID
    account_type: str
    login: str
    token_id: UUID | None = None
    permissions: Mapping[str, Any] | None = None
    visibility_area: str = VisibilityArea.ACCOUNT
    verified: bool = True
    password_hash: str | None = field(default=None, repr=False)

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    @property
    def sees_all_accounts(self) -> bool:
        """Whether the client may read other accounts' data: both its account type and its credentials allow it."""
        return self.visibility_area == VisibilityArea.ALL and self.account_type != AccountType.USER

    def may(self, kind: str, right: str) -> bool:
        """Return whether the client may use `right` on objects of `kind`; always True without a token."""
        return self.permissions is None or right in self.permissions.get(kind, ())


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of an audit line: the principal's ids and the client's address."""

    account_id: UUID | None = None
    token_id: UUID | None = None
    remote_address: str | None = None
