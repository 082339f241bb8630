"""Common parts of the responses of resources that take images."""

from typing import Any

from rest_framework import serializers


class StatusSerializer(serializers.Serializer[Any]):
    """Status of one image."""

    filename = serializers.CharField()
    status = serializers.IntegerField(help_text="1: recognised; 0: failed, see `error`.")
    error = serializers.DictField()
