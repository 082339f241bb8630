"""Whether pictures can be recognised now."""

from apps.recognition import facade


def estimators_available() -> list[str]:
    """The estimators whose networks are installed."""
    names: list[str] = facade.engine_status()["estimators"]  # type: ignore[assignment]
    return names


def recognition_check() -> None:
    """Raises EngineError when the engine cannot start, RuntimeError when it has no network to find faces with."""
    status = facade.engine_status()
    if "face_detector" not in status["networks"]:  # type: ignore[operator]
        raise RuntimeError("no network for face detection is installed: run `manage.py networks build`")
