"""Account scope: owned rows can be read through a scope only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from django.db.models import QuerySet

M = TypeVar("M", bound=models.Model)


class UnscopedQueryError(RuntimeError):
    """A query on an owned model has no account: a programming error, never a client's."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The rows that a reader may see: those of one account, or of all accounts with `account_id=None`."""

    account_id: UUID | None

    def allows(self, account_id: UUID) -> bool:
        return self.account_id is None or self.account_id == account_id


class ScopedManager(models.Manager[M], Generic[M]):
    """Requires `.for_account(id)`, `.for_scope(scope)` or an explicit `.unscoped()`; other queries raise an error."""

    def get_queryset(self) -> QuerySet[M]:
        raise UnscopedQueryError(
            f"{self.model.__name__}.objects needs for_account(), for_scope() or an explicit unscoped()"
        )

    def unscoped(self) -> QuerySet[M]:
        """Return the rows of all accounts: for the admin site, maintenance commands and inserts."""
        return super().get_queryset()

    def for_account(self, account_id: UUID) -> QuerySet[M]:
        return self.unscoped().filter(account_id=account_id)

    def for_scope(self, scope: Scope) -> QuerySet[M]:
        return self.unscoped() if scope.account_id is None else self.for_account(scope.account_id)

    def create(self, **kwargs: Any) -> M:
        return self.unscoped().create(**kwargs)

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[M]:
        return self.unscoped().bulk_create(objs, *args, **kwargs)
