"""What the answers of all resources that take images have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rest_framework import serializers

from apps.common import errors
from apps.common.errors import LunaError, error_body
from apps.recognition.api.shapes import Json, detection_block
from apps.recognition.request.screening import Reason
from apps.recognition.types import Face


class StatusSerializer(serializers.Serializer[Any]):
    """What became of one picture."""

    filename = serializers.CharField()
    status = serializers.IntegerField(help_text="1 went well, 0 failed.")
    error = serializers.DictField()


def status_block(filename: str, error: LunaError | None) -> Json:
    """`{filename, status, error}`: status 1 went well, 0 failed."""
    return {
        "filename": filename,
        "status": int(error is None),
        "error": error_body(errors.SUCCESS) if error is None else error.body(),
    }


def reasons_block(reasons: Sequence[Reason]) -> list[Json]:
    """`filter_reasons`."""
    return [
        {
            "filter_name": reason.filter_name,
            "object_value": reason.object_value,
            "threshold_value": reason.threshold_value,
        }
        for reason in reasons
    ]


def shown_detection(face: Face, shown: frozenset[str]) -> dict[str, object]:
    """The detection with the estimations that were asked for, not those that filters needed."""
    return detection_block(replace(face, estimations=shown_estimations(face.estimations, shown)))


def shown_estimations(estimations: Mapping[str, object], shown: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in estimations.items() if name in shown}
