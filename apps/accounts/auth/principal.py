"""Who makes a request: what views, services and the audit log know of an authenticated client."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from apps.accounts.choices import AccountType, VisibilityArea


@dataclass(frozen=True, slots=True)
class Principal:
    """`request.user` of the API: an account and, with a bearer token, what the token is restricted to.

    `permissions` is None without a token: then the account may do all that its type allows. `verified` says that the
    client showed a secret; a `Luna-Account-Id` is only a name.
    """

    account_id: UUID
    account_type: str
    login: str
    token_id: UUID | None = None
    permissions: Mapping[str, Any] | None = None
    visibility_area: str = VisibilityArea.ACCOUNT
    verified: bool = True

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False

    @property
    def sees_all_accounts(self) -> bool:
        """Whether other accounts' data may be read: the type allows it now, and the credentials do."""
        return self.visibility_area == VisibilityArea.ALL and self.account_type != AccountType.USER

    def may(self, kind: str, right: str) -> bool:
        """Whether the token, if any, grants `right` on objects of `kind`."""
        return self.permissions is None or right in self.permissions.get(kind, ())


@dataclass(frozen=True, slots=True)
class Actor:
    """Who stands in an audit line: the principal's ids and the address that the request came from."""

    account_id: UUID | None = None
    token_id: UUID | None = None
    remote_address: str | None = None
