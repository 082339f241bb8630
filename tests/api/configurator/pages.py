"""Addresses and values of the Configurator's pages."""

from typing import Any

from django.urls import reverse

from apps.configurator.models import Setting
from apps.configurator.services import LimitationDraft

PAGING, SIZE = "LUNA_PAGING", "value.default_page_size"
HOSTILE = '"><img src=x onerror=alert(1)>{{ 7|add:7 }}'
QUEUE = LimitationDraft(
    name="QUEUE",
    schema={"type": "object", "required": ["key"], "properties": {"key": {"type": "string"}, "rows": {
        "type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}}}}}},
    services=["queues"],
    default_value={"key": "detector"},
)  # fmt: skip


def page(model: str, name: str, *args: Any) -> str:
    return reverse(f"admin:configurator_{model}_{name}", args=args)


def default_of(name: str) -> Setting:
    return Setting.objects.get(limitation__limitation_name=name, is_default=True)


def address(name: str) -> str:
    return page("setting", "change", default_of(name).pk)
