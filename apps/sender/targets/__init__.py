"""Targets of callbacks by kind. A new kind is a module with a subclass of `Target`, and a line here."""

from apps.sender.targets.base import DeliveryError, PermanentError, Target, TransientError
from apps.sender.targets.http import Webhook

TARGETS: dict[str, type[Target]] = {each.kind: each for each in (Webhook,)}

__all__ = ["TARGETS", "DeliveryError", "PermanentError", "Target", "TransientError", "Webhook"]
