"""Targets of callbacks by kind. A new kind is a module with a subclass of `Target`, and a line here."""

from apps.sender.targets.base import JSON, MESSAGEPACK, DeliveryError, PermanentError, Target, TransientError
from apps.sender.targets.http import Webhook
from apps.sender.targets.mqtt import MqttTopic

TARGETS: dict[str, type[Target]] = {each.kind: each for each in (Webhook, MqttTopic)}

__all__ = [
    "JSON",
    "MESSAGEPACK",
    "TARGETS",
    "DeliveryError",
    "MqttTopic",
    "PermanentError",
    "Target",
    "TransientError",
    "Webhook",
]
