"""storage_policy: stored objects and rows of an event, their lifetimes, notifications and callbacks."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.common.fields import FlagField, SettingIntegerField, UUIDField, WholeNumberField
from apps.common.filters import Filters
from apps.faces.config import default_ttl_s, max_ttl_s
from apps.handlers.policies.base import MAX_ITEMS, FiltersSerializer, PolicySerializer
from apps.handlers.policies.callbacks import CallbackPolicy, CallbacksField
from apps.imagestore.types import KEEP, TTL_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePolicy:
    """Storage of face or body samples. `ttl`: days, None for the bucket's own lifetime.

    `given`: whether a client asked for it, instead of taking the default.
    """

    given: bool = field(default=False, compare=False)
    store_sample: bool = True
    ttl: int | None = None
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOriginPolicy:
    """Storage of source images. `image_format`: `jpg` or `png`; `image_quality`: JPEG quality 1..100."""

    store_image: bool = False
    image_format: str = "jpg"
    image_quality: int = 75
    use_external_references: bool = False
    ttl: int | None = None
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributePolicy:
    """Storage of temporary attributes. `ttl`: seconds, None for the default lifetime at the time of use."""

    store_attribute: bool = False
    ttl: int | None = None
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPolicy:
    """List to which a new face is attached if the filters hold."""

    list_id: UUID
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePolicy:
    store_face: bool = False
    set_sample_as_avatar: bool = True
    link_to_lists_policy: tuple[LinkPolicy, ...] = ()
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPolicy:
    store_event: bool = True
    wait_saving: bool = True
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationPolicy:
    """Notification of websockets. `given`: whether a client asked for it, instead of taking the default."""

    given: bool = field(default=False, compare=False)
    send_notification: bool = True
    filters: Filters = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePolicy:
    face_sample_policy: SamplePolicy = SamplePolicy()
    body_sample_policy: SamplePolicy = SamplePolicy()
    image_origin_policy: ImageOriginPolicy = ImageOriginPolicy()
    attribute_policy: AttributePolicy = AttributePolicy()
    face_policy: FacePolicy = FacePolicy()
    event_policy: EventPolicy = EventPolicy()
    notification_policy: NotificationPolicy = NotificationPolicy()
    callbacks: tuple[CallbackPolicy, ...] = ()

    @property
    def needs_sender(self) -> bool:
        """Whether a client asked for notifications of websockets."""
        notification = self.notification_policy
        by_callback = any(each.enable and each.target is None for each in self.callbacks)
        return (notification.given and notification.send_notification) or by_callback

    @property
    def needs_image_store(self) -> bool:
        """Whether a client asked for samples or source images."""
        samples = (self.face_sample_policy, self.body_sample_policy)
        return self.image_origin_policy.store_image or any(each.given and each.store_sample for each in samples)


def days_field() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=(KEEP, *TTL_DAYS), required=False)


class SamplePolicySerializer(PolicySerializer):
    policy = partial(SamplePolicy, given=True)  # type: ignore[assignment]
    defaults = SamplePolicy
    store_sample = FlagField(required=False)
    ttl = days_field()
    filters = FiltersSerializer(required=False)


class ImageOriginPolicySerializer(PolicySerializer):
    policy = ImageOriginPolicy
    store_image = FlagField(required=False)
    image_format = serializers.ChoiceField(choices=("jpg", "png"), required=False)
    image_quality = WholeNumberField(min_value=1, max_value=100, required=False)
    use_external_references = FlagField(required=False)
    ttl = days_field()
    filters = FiltersSerializer(required=False)


class AttributePolicySerializer(PolicySerializer):
    policy = AttributePolicy
    live_defaults = {"ttl": default_ttl_s}
    store_attribute = FlagField(required=False)
    ttl = SettingIntegerField(limit=max_ttl_s, required=False)
    filters = FiltersSerializer(required=False)


class LinkPolicySerializer(PolicySerializer):
    policy = LinkPolicy
    list_id = UUIDField()
    filters = FiltersSerializer(required=False)


class LinksField(serializers.ListField):
    child = LinkPolicySerializer()

    def to_internal_value(self, data: Any) -> tuple[LinkPolicy, ...]:  # type: ignore[override]
        return tuple(super().to_internal_value(data))


class FacePolicySerializer(PolicySerializer):
    policy = FacePolicy
    store_face = FlagField(required=False)
    set_sample_as_avatar = FlagField(required=False)
    link_to_lists_policy = LinksField(max_length=MAX_ITEMS, required=False)
    filters = FiltersSerializer(required=False)


class EventPolicySerializer(PolicySerializer):
    policy = EventPolicy
    store_event = FlagField(required=False)
    wait_saving = FlagField(required=False)
    filters = FiltersSerializer(required=False)


class NotificationPolicySerializer(PolicySerializer):
    policy = partial(NotificationPolicy, given=True)  # type: ignore[assignment]
    send_notification = FlagField(required=False)
    filters = FiltersSerializer(required=False)


class StoragePolicySerializer(PolicySerializer):
    policy = StoragePolicy
    face_sample_policy = SamplePolicySerializer(required=False)
    body_sample_policy = SamplePolicySerializer(required=False)
    image_origin_policy = ImageOriginPolicySerializer(required=False)
    attribute_policy = AttributePolicySerializer(required=False)
    face_policy = FacePolicySerializer(required=False)
    event_policy = EventPolicySerializer(required=False)
    notification_policy = NotificationPolicySerializer(required=False)
    callbacks = CallbacksField(max_length=MAX_ITEMS, required=False)
