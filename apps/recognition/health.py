"""Health of recognition: available features, missing networks, readiness."""

from apps.recognition.estimators.registry import all_estimators
from apps.recognition.run import facade
from apps.recognition.vocabulary import ESTIMATIONS


def features_available() -> frozenset[str]:
    """Return the licence features with at least one estimator that is switched on and has its networks."""
    features = (all_estimators()[name].feature for name in facade.available_estimators())
    return frozenset(feature for feature in features if feature is not None)


def estimations_unavailable() -> list[str]:
    """Return the names of all estimations without an installed network."""
    return facade.unavailable_estimations(ESTIMATIONS)


def recognition_check() -> None:
    """Check that faces can be recognised.

    Raises EngineError if the engine cannot start, RuntimeError if no network for face detection is installed.
    """
    status = facade.engine_status()
    if "face_detector" not in status["networks"]:  # type: ignore[operator]
        raise RuntimeError(
            "no network for face detection is installed; run `.venv/bin/python manage.py networks build`"
        )
