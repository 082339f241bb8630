"""Account scope: owned rows are read through a scope or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from django.db.models import QuerySet

M = TypeVar("M", bound=models.Model)


class UnscopedQueryError(RuntimeError):
    """Rows of an owned model were asked for without an account. A fault of the program, never of a client."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a reader may see: one account's, or with `account_id=None` everybody's."""

    account_id: UUID | None

    def allows(self, account_id: UUID) -> bool:
        return self.account_id is None or self.account_id == account_id


class ScopedManager(models.Manager[M], Generic[M]):
    """`Model.objects.for_account(id)`, `.for_scope(scope)` or, said aloud, `.unscoped()`. Anything else raises."""

    def get_queryset(self) -> QuerySet[M]:
        raise UnscopedQueryError(
            f"{self.model.__name__}.objects needs for_account(), for_scope() or an explicit unscoped()"
        )

    def unscoped(self) -> QuerySet[M]:
        """Rows of every account: for the admin site, maintenance commands and inserts."""
        return super().get_queryset()

    def for_account(self, account_id: UUID) -> QuerySet[M]:
        return self.unscoped().filter(account_id=account_id)

    def for_scope(self, scope: Scope) -> QuerySet[M]:
        return self.unscoped() if scope.account_id is None else self.for_account(scope.account_id)

    def create(self, **kwargs: Any) -> M:
        return self.unscoped().create(**kwargs)

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[M]:
        return self.unscoped().bulk_create(objs, *args, **kwargs)
