"""Detector heads: what a face detector is shown, and how its outputs become boxes. A manifest's `head` names one."""

from apps.recognition.engine.errors import EngineError
from apps.recognition.engine.heads.base import Head
from apps.recognition.engine.heads.blazeface import BlazeFace
from apps.recognition.engine.heads.retinaface import RetinaFace
from apps.recognition.engine.heads.scrfd import Scrfd
from apps.recognition.engine.heads.yunet import YuNet
from apps.recognition.networks.specs import Manifest

HEADS: dict[str, type[Head]] = {"blazeface": BlazeFace, "yunet": YuNet, "scrfd": Scrfd, "retinaface": RetinaFace}


def head_for(manifest: Manifest, score: float | None = None) -> Head:
    """The head that a detector's manifest names; `score`: faces are taken from it on, None: as the manifest says.

    Raises EngineError where there is no such head, or where the manifest's outputs are not those of the head.
    """
    if manifest.head not in HEADS:
        raise EngineError(
            f"Network {manifest.name} has the unknown head {manifest.head!r}: there are {', '.join(HEADS)}."
        )
    return HEADS[manifest.head](manifest, score)
