"""What tests of recognition ask of results."""

from typing import Any

from apps.recognition.types import Body, Face, ImageResult


def told(found: Face | Body | ImageResult, name: str) -> Any:
    """Return the estimation `name`. Its class depends on the name, so that no type describes it."""
    return found.estimations[name]
