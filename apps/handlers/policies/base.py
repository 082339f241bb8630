"""The base of the policies' serializers: each parses JSON into a frozen dataclass."""

from typing import Any, ClassVar

from apps.common.filters import Filters, PolicyFilterSerializer
from apps.common.validation import StrictSerializer

MAX_ITEMS = 30
MAX_LABEL_CHARACTERS = 36


class PolicySerializer(StrictSerializer):
    """A policy; missing members have their defaults."""

    policy: ClassVar[type]

    def to_internal_value(self, data: Any) -> Any:
        return self.policy(**super().to_internal_value(data))


class FiltersSerializer(PolicyFilterSerializer):
    """Filters; empty ones accept everything."""

    def to_internal_value(self, data: Any) -> Filters:  # type: ignore[override]
        filters: Filters = super().to_internal_value(data)["filters"]
        return filters
