"""Numbers of callbacks of all accounts, for metrics."""

from collections.abc import Mapping

from django.db.models import Count, Q

from apps.monitoring.metrics.sources import Source, Values
from apps.sender.models import Callback

CALLBACKS = "luna_callbacks"


def read() -> Mapping[str, Values]:
    """Return the numbers of waiting callbacks and of dead letters."""
    rows = Callback.everything.order_by().annotate(is_dead=Q(dead_time__isnull=False))
    found = dict(rows.values_list("is_dead").annotate(number=Count("*")))
    states = {"waiting": False, "dead": True}
    return {CALLBACKS: [({"state": state}, found.get(is_dead, 0)) for state, is_dead in states.items()]}


SOURCE = Source("callbacks", {CALLBACKS: "Callbacks that wait, and dead letters"}, read)
