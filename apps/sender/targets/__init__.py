"""Targets of callbacks by kind. A new kind is a module with a subclass of `Target`, and a line here."""

from apps.sender.targets.base import (
    JSON,
    MESSAGEPACK,
    DeliveryError,
    PermanentError,
    Target,
    TransientError,
    sealed_places,
)
from apps.sender.targets.http import Webhook
from apps.sender.targets.mqtt import MqttTopic
from apps.sender.targets.telegram import TelegramChat

TARGETS: dict[str, type[Target]] = {each.kind: each for each in (Webhook, MqttTopic, TelegramChat)}

__all__ = [
    "JSON",
    "MESSAGEPACK",
    "TARGETS",
    "DeliveryError",
    "MqttTopic",
    "PermanentError",
    "Target",
    "TelegramChat",
    "TransientError",
    "Webhook",
    "sealed_places",
]
