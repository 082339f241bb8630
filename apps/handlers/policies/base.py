"""Base classes of the policies' serializers, which parse JSON into frozen dataclasses."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from apps.common.filters import Filters, PolicyFilterSerializer
from apps.common.validation import StrictSerializer

MAX_ITEMS = 30
MAX_LABEL_CHARACTERS = 36


class PolicySerializer(StrictSerializer):
    """A policy; missing members take their defaults.

    `live_defaults`: defaults that settings determine when a policy is used, by member.
    """

    policy: ClassVar[type]
    live_defaults: ClassVar[Mapping[str, Callable[[], int]]] = {}

    def to_internal_value(self, data: Any) -> Any:
        return self.policy(**super().to_internal_value(data))


class FiltersSerializer(PolicyFilterSerializer):
    """Filters; empty filters accept everything."""

    def to_internal_value(self, data: Any) -> Filters:  # type: ignore[override]
        filters: Filters = super().to_internal_value(data)["filters"]
        return filters
