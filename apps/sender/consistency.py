"""Checks of callbacks for `manage.py fsck`."""

from collections.abc import Iterator

from apps.common.holdings import Fault
from apps.sender.models import Callback
from apps.sender.targets import TARGETS


def callbacks_check(deep: bool) -> Iterator[Fault]:
    """Yield callbacks that this release cannot deliver. None is mended: a later release may know their kind."""
    for row in Callback.objects.unscoped().defer("payload").iterator():
        try:
            TARGETS[row.kind].unpacked(row.target)
        except (KeyError, TypeError):
            yield Fault("callback of an unknown kind", f"{row.callback_id} to {row.place}")
