"""Whether pictures can be recognised now."""

from apps.recognition.estimators.registry import all_estimators
from apps.recognition.run import facade
from apps.recognition.vocabulary import ESTIMATIONS


def features_available() -> frozenset[str]:
    """The features of a licence of which at least one estimator is on and has its networks."""
    features = (all_estimators()[name].feature for name in facade.available_estimators())
    return frozenset(feature for feature in features if feature is not None)


def estimations_unavailable() -> list[str]:
    """The names of all estimations for which no network is installed."""
    return facade.unavailable_estimations(ESTIMATIONS)


def recognition_check() -> None:
    """Raises EngineError when the engine cannot start, RuntimeError when it has no network to find faces with."""
    status = facade.engine_status()
    if "face_detector" not in status["networks"]:  # type: ignore[operator]
        raise RuntimeError("no network for face detection is installed: run `manage.py networks build`")
