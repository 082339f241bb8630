"""What the answers of all resources that take images have in common."""

from typing import Any

from rest_framework import serializers


class StatusSerializer(serializers.Serializer[Any]):
    """What became of one picture."""

    filename = serializers.CharField()
    status = serializers.IntegerField(help_text="1 went well, 0 failed.")
    error = serializers.DictField()
