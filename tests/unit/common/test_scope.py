"""Rows that belong to an account are reached through a scope, in every room."""

import re
from pathlib import Path
from uuid import uuid4

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models

from apps.accounts.models import AccountOwned
from apps.common.scope import Scope, UnscopedQueryError

# An account is not an owned row, and an audit line is not owned by the account that it names.
NOT_OWNED = {"Account", "AuditRecord"}


def owned_models() -> list[type[models.Model]]:
    """Every model of ours with a column `account_id`."""
    ours = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
    return [
        model
        for config in ours
        for model in config.get_models()
        if model.__name__ not in NOT_OWNED
        and "account_id" in {column for field in model._meta.get_fields() for column in names_of(field)}
    ]


def names_of(field: object) -> set[str | None]:
    return {getattr(field, "name", None), getattr(field, "attname", None)}


def test_there_are_such_models() -> None:
    assert {model.__name__ for model in owned_models()} >= {"Token", "Face", "List", "Event", "Handler", "StoredObject"}


@pytest.mark.parametrize("model", owned_models(), ids=lambda model: model.__name__)
@pytest.mark.django_db
def test_owned_models_refuse_to_be_read_without_an_account(model: type[AccountOwned]) -> None:
    assert issubclass(model, AccountOwned)
    for unscoped in ("all", "count", "first", "exists", "values", "iterator", "latest", "in_bulk"):
        with pytest.raises(UnscopedQueryError):
            getattr(model.objects, unscoped)()
    account_id = uuid4()
    where = str(model.objects.for_account(account_id).query.where)
    assert str(account_id) in where
    assert where == str(model.objects.for_scope(Scope(account_id)).query.where)
    assert not model.objects.for_scope(Scope(None)).query.where
    assert not model.objects.unscoped().query.where


def test_the_ways_around_a_scope_are_taken_where_they_may_be() -> None:
    """`everything` is the admin site's; views go through selectors and services, which are given a scope."""
    sources = {path: path.read_text() for path in (Path(settings.BASE_DIR) / "apps").rglob("*.py")}
    assert len(sources) > 200
    found = {
        path for path, text in sources.items() if re.search(r"\.everything\b|_base_manager|_default_manager", text)
    }
    assert {
        path
        for path in found
        if path.name not in ("admin.py", "metrics.py", "rotation.py") and path.parent.name not in ("adminbase", "admin")
    } == set()
    views = {path for path, text in sources.items() if "api" in path.parts and ".unscoped(" in text}
    assert views == set()


def test_what_a_scope_allows() -> None:
    one, two = uuid4(), uuid4()
    assert Scope(one).allows(one)
    assert not Scope(one).allows(two)
    assert Scope(None).allows(two)
