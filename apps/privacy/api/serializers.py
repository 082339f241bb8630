"""Bodies and answers of the erasure of a person."""

from typing import Any

from rest_framework import serializers

from apps.common.fields import TextField, UUIDField
from apps.common.validation import StrictSerializer
from apps.privacy.erasure import Receipt


class ErasureBody(StrictSerializer):
    """The person to erase: exactly one of `face_id` and `external_id`."""

    face_id = UUIDField(required=False, help_text="A face of the person.")
    external_id = TextField(allow_blank=False, max_length=36, help_text="The external id of the person.")
    dry_run = serializers.BooleanField(default=False, help_text="Whether to report only, and erase nothing.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("face_id" in attrs) == ("external_id" in attrs):
            raise serializers.ValidationError("Exactly one of `face_id` and `external_id` is needed.")
        return attrs


class ReceiptSerializer(serializers.Serializer[Receipt]):
    """What was erased: ids and counts, without biometric data."""

    receipt_id = serializers.UUIDField()
    time = serializers.DateTimeField()
    subject = serializers.CharField(help_text="The face or the external id.")
    dry_run = serializers.BooleanField()
    faces = serializers.ListField(child=serializers.UUIDField(), help_text="Erased faces.")
    temporary_attributes = serializers.IntegerField(help_text="Number of erased temporary attributes.")
    events = serializers.ListField(
        child=serializers.UUIDField(), help_text="Events that keep time and place, but no person."
    )
    mentions = serializers.IntegerField(help_text="Number of other events whose matches with the person are erased.")
    callbacks = serializers.IntegerField(help_text="Number of undelivered callbacks about the person that are erased.")
    tasks = serializers.ListField(
        child=serializers.CharField(), help_text="Tasks that name the person: running ones are cancelled."
    )
    schedules = serializers.ListField(
        child=serializers.CharField(), help_text="Schedules that name the person: they are stopped and emptied."
    )
    task_errors = serializers.IntegerField(help_text="Number of erased errors of tasks.")
    objects = serializers.ListField(
        child=serializers.CharField(), help_text="Names of erased samples, images and results."
    )
    person_groups = serializers.ListField(
        child=serializers.UUIDField(), help_text="Erased groups of unknown people with an event or face of the person."
    )
    enrolled_faces = serializers.ListField(
        child=serializers.UUIDField(), help_text="Faces of these groups, erased as well."
    )
    list_segments = serializers.IntegerField(
        help_text="Number of erased files with codes of descriptors of whole lists; the platform writes them anew."
    )
    milvus_vectors = serializers.IntegerField(
        required=False,
        help_text="Number of vectors erased from Milvus at once, while its plugin is active. If Milvus is away, "
        "they are erased when it answers again.",
    )
    files_left = serializers.ListField(
        child=serializers.CharField(),
        help_text="Files that could not be removed; the operator's `fsck --mend` removes them.",
    )
