"""Delivery of stored callbacks in the test's own transaction."""

from apps.sender.delivery.courier import Courier


def deliver_all(attempts: int = 1) -> Courier:
    """Make one attempt at each due callback, `attempts` times."""
    courier = Courier()
    for _ in range(attempts):
        courier.settle([courier.attempt(each) for each in courier.claim(100)])
    return courier
