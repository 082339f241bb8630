"""Models of events and their descriptors. Events are immutable."""

# ruff: noqa: DJ001  # filters distinguish NULL (not known) from an empty string

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext

from apps.accounts.models import AccountOwned
from apps.common.json_types import StoredJsonDecoder
from apps.common.vectors import PlainVectorField

SMALL = models.PositiveSmallIntegerField
# Columns of filters that `event_page` includes: estimations and places, which have few values each. PostgreSQL allows
# 32 columns of an index.
SEARCHED = (
    "end_time", "insert_time", "gender", "age", "emotion", "ethnic_group", "mask", "liveness", "deepfake",
    "apparent_gender", "apparent_age", "headwear_state", "headwear_apparent_color", "sleeve_length",
    "upper_clothing_colors", "backpack_state", "lower_garment_type", "lower_garment_colors", "shoes_apparent_color",
    "top_matching_candidates_label", "top_similar_object_similarity",
    "city", "area", "district", "street", "house_number", "longitude", "latitude",
)  # fmt: skip


class Event(AccountOwned):
    """One person (face, body or both) that a handler detected.

    Handler, face and samples are plain UUIDs, because an event outlives them. Enumerations are the numbers of
    `apps.common.filters.enums`. Column names equal the terms of the filter language. The database makes `id` of
    `insert_time` (`apps.events.partitions`). `event_id` is unique in each partition; `services` compares ids that
    clients give with all partitions.
    """

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    handler_id = models.UUIDField(null=True)
    create_time = models.DateTimeField()
    end_time = models.DateTimeField()
    insert_time = models.DateTimeField(auto_now_add=True)

    source = models.CharField(max_length=128, null=True)
    stream_id = models.UUIDField(null=True)
    track_id = models.CharField(max_length=36, null=True)
    external_id = models.CharField(max_length=36, blank=True, default="")
    user_data = models.CharField(max_length=128, blank=True, default="")
    tags = ArrayField(models.CharField(max_length=36), default=list)
    meta = models.JSONField(null=True, decoder=StoredJsonDecoder)

    city = models.CharField(max_length=36, null=True)
    area = models.CharField(max_length=36, null=True)
    district = models.CharField(max_length=36, null=True)
    street = models.CharField(max_length=128, null=True)
    house_number = models.CharField(max_length=36, null=True)
    longitude = models.FloatField(null=True)
    latitude = models.FloatField(null=True)

    face_id = models.UUIDField(null=True)
    attach_result = ArrayField(models.UUIDField(), default=list)
    gender = SMALL(null=True)
    age = SMALL(null=True)
    emotion = SMALL(null=True)
    ethnic_group = SMALL(null=True)
    mask = SMALL(null=True)
    liveness = SMALL(null=True)
    deepfake = SMALL(null=True)

    apparent_gender = SMALL(null=True)
    apparent_age = SMALL(null=True)
    headwear_state = SMALL(null=True)
    headwear_apparent_color = SMALL(null=True)
    sleeve_length = SMALL(null=True)
    upper_clothing_colors = ArrayField(SMALL(), null=True)
    backpack_state = SMALL(null=True)
    lower_garment_type = SMALL(null=True)
    lower_garment_colors = ArrayField(SMALL(), null=True)
    shoes_apparent_color = SMALL(null=True)

    top_matching_candidates_label = models.CharField(max_length=36, null=True)
    top_similar_object_id = models.UUIDField(null=True)
    top_similar_object_type = SMALL(null=True)  # 0 face, 1 event
    top_similar_object_similarity = models.FloatField(null=True)
    top_similar_external_id = models.CharField(max_length=36, null=True)
    match_result = models.JSONField(default=list, decoder=StoredJsonDecoder)

    face_detections = models.JSONField(default=list)
    body_detections = models.JSONField(default=list)

    notified = models.BooleanField(default=False, db_default=False)  # sent to websockets: see `apps.sender.resuming`

    class Meta(AccountOwned.Meta):
        # Searches read the keys of a page first, from one index alone if it has all columns of the filters. A partial
        # index costs nothing for events without its column. docs/events.md has the plans and the cost of writing.
        indexes = (
            models.Index(fields=("account", "-create_time", "-id"), include=SEARCHED, name="event_page"),
            models.Index(fields=("-create_time", "-id"), name="event_time"),  # pages of all accounts
            models.Index(fields=("account", "handler_id", "-create_time", "-id"), name="event_handler"),
            models.Index(fields=("account", "source", "-create_time", "-id"), name="event_source"),
            models.Index(fields=("face_id",), condition=models.Q(face_id__isnull=False), name="event_face"),
            models.Index(fields=("account", "external_id"), condition=~models.Q(external_id=""), name="event_external"),
            models.Index(fields=("account", "user_data"), condition=~models.Q(user_data=""), name="event_user_data"),
            models.Index(
                fields=("account", "track_id"), condition=models.Q(track_id__isnull=False), name="event_track"
            ),
            models.Index(
                fields=("account", "stream_id", "-create_time", "-id"),
                condition=models.Q(stream_id__isnull=False),
                name="event_stream",
            ),
            models.Index(
                fields=("top_similar_object_id",),
                condition=models.Q(top_similar_object_id__isnull=False),
                name="event_top_object",
            ),
            models.Index(
                fields=("account", "top_similar_external_id"),
                condition=models.Q(top_similar_external_id__isnull=False),
                name="event_top_external",
            ),
            models.Index(
                fields=("account", "latitude", "longitude"),
                condition=models.Q(latitude__isnull=False),
                name="event_position",
            ),
            models.Index(
                fields=("account", "street", "-create_time", "-id"),
                condition=models.Q(street__isnull=False),
                name="event_street",
            ),
            models.Index(
                fields=("account", "top_similar_object_similarity"),
                condition=models.Q(top_similar_object_similarity__isnull=False),
                name="event_similarity",
            ),
            GinIndex(fields=("tags",), name="event_tags"),
        )

    def __str__(self) -> str:
        return f"{self.source or self.user_data or gettext('event')}, {self.create_time:%Y-%m-%d %H:%M:%S} UTC"


class EventDescriptor(models.Model):
    """Descriptor of an event's face or body: a unit vector of the version's dimension.

    The database has no foreign key, which would forbid to drop a partition of events before that of its descriptors.
    """

    pk = models.CompositePrimaryKey("event", "version")
    event = models.ForeignKey(
        Event, on_delete=models.CASCADE, related_name="descriptors", db_index=False, db_constraint=False
    )
    version = models.PositiveIntegerField()
    vector = PlainVectorField()
    score = models.FloatField(null=True)

    class Meta:
        # A search of the version that few events have (bodies) does not read the vectors of the others: 3 ms instead of
        # 9 ms for 2,000 of 100,000 vectors with 512 numbers.
        indexes = (models.Index(fields=("version", "event"), name="event_version"),)


class ThinEvent(AccountOwned):
    """Copy of an event's descriptor with the columns of the most used filters: see `apps.common.thin`.

    Triggers write it. The index has all columns of filters but `tags`: their size has no limit, that of index rows has.
    """

    id = models.BigAutoField(primary_key=True)
    event_key = models.BigIntegerField()
    version = models.PositiveIntegerField()
    vector = PlainVectorField()
    event_id = models.UUIDField()
    create_time = models.DateTimeField()
    end_time = models.DateTimeField()
    handler_id = models.UUIDField(null=True)
    source = models.CharField(max_length=128, null=True)
    stream_id = models.UUIDField(null=True)
    external_id = models.CharField(max_length=36)
    user_data = models.CharField(max_length=128)
    face_id = models.UUIDField(null=True)
    gender = SMALL(null=True)
    age = SMALL(null=True)
    emotion = SMALL(null=True)
    ethnic_group = SMALL(null=True)
    mask = SMALL(null=True)
    liveness = SMALL(null=True)
    deepfake = SMALL(null=True)
    tags = ArrayField(models.CharField(max_length=36))

    class Meta(AccountOwned.Meta):
        verbose_name_plural = "copies of event descriptors"
        constraints = (models.UniqueConstraint(fields=("event_key", "version"), name="thin_event_version"),)
        indexes = (
            models.Index(
                fields=("account", "version", "create_time"),
                include=(
                    *("event_key", "event_id", "end_time", "handler_id", "source", "stream_id", "external_id"),
                    *("user_data", "face_id", "gender", "age", "emotion", "ethnic_group", "mask", "liveness"),
                    "deepfake",
                ),
                name="thin_event_filters",
            ),
            GinIndex(fields=("tags",), name="thin_event_tags"),
        )
