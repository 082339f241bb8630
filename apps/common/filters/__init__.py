"""The one filter language of the platform.

A term (`emotions`, `age__gte`, …) has one definition in `terms`, one meaning in `operators`. Serializers read terms
from requests, `to_q` makes SQL of them for searches, `accepts` applies them to facts in memory: handler policies and
websocket subscriptions.
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
