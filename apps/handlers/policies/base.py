"""What every policy is made of: a frozen dataclass and the strict serializer that reads it from JSON."""

from typing import Any, ClassVar

from apps.common.filters import Filters, PolicyFilterSerializer
from apps.common.validation import StrictSerializer

MAX_ITEMS = 30
MAX_LABEL_CHARACTERS = 36


class PolicySerializer(StrictSerializer):
    """Gives a `policy`: members that are missing in the JSON have the dataclass's defaults."""

    policy: ClassVar[type]

    def to_internal_value(self, data: Any) -> Any:
        return self.policy(**super().to_internal_value(data))


class FiltersSerializer(PolicyFilterSerializer):
    """`filters`: gives `Filters`, empty ones accept everything."""

    def to_internal_value(self, data: Any) -> Filters:  # type: ignore[override]
        return super().to_internal_value(data)["filters"]
