"""Detector heads: inputs of a face detector and the decoding of its outputs. A manifest names its `head`."""

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.heads.base import Head
from apps.recognition.engine.heads.blazeface import BlazeFace
from apps.recognition.engine.heads.retinaface import RetinaFace
from apps.recognition.engine.heads.scrfd import Scrfd
from apps.recognition.engine.heads.yunet import YuNet
from apps.recognition.networks.specs import Manifest

HEADS: dict[str, type[Head]] = {"blazeface": BlazeFace, "yunet": YuNet, "scrfd": Scrfd, "retinaface": RetinaFace}


def head_for(manifest: Manifest, score: float | None = None) -> Head:
    """Return the head of a detector's manifest. `score`: minimum score of a face, None for the manifest's.

    Raises EngineError for an unknown head, and for outputs in the manifest that do not fit the head.
    """
    if manifest.head not in HEADS:
        raise EngineError(
            f"Network {manifest.name} has the unknown head {manifest.head!r}: it must be one of {', '.join(HEADS)}."
        )
    return HEADS[manifest.head](manifest, score)
