"""The filter language of the platform.

A term (`emotions`, `age__gte`, …) is defined once in `terms`, its operator once in `operators`. Serializers read terms
from requests. `to_q` translates them to SQL for searches. `accepts` applies them to facts in memory, for handler
policies and websocket subscriptions.
"""

from apps.common.filters.language import Filters, accepts, to_q
from apps.common.filters.serializers import (
    EventFilterSerializer,
    FilterSerializer,
    PolicyFilterSerializer,
    SubscriptionSerializer,
)
from apps.common.filters.terms import TERMS, Term

__all__ = [
    "TERMS",
    "EventFilterSerializer",
    "FilterSerializer",
    "Filters",
    "PolicyFilterSerializer",
    "SubscriptionSerializer",
    "Term",
    "accepts",
    "to_q",
]
