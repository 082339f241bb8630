from django.apps import AppConfig
from django.conf import settings

from apps.common.descriptors import versions
from apps.monitoring.features import register_estimations
from apps.monitoring.health import checks
from apps.recognition.descriptor_versions import register_versions
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry


class RecognitionConfig(AppConfig):
    name = "apps.recognition"
    verbose_name = "Recognition"

    def ready(self) -> None:
        """Tells the platform which descriptor versions the known networks give, and how to check the engine.

        Ends the process with a sentence when the networks' directory is not as it must be: no command, no web process
        and no worker can know then which descriptors are the default.
        """
        from apps.recognition.health import features_available, recognition_check

        checks.register("recognition", recognition_check)
        register_estimations(features_available)
        try:
            register_versions(Registry(settings.NETWORKS_DIR), versions)
        except NetworkError as error:
            raise SystemExit(f"Luna cannot start: {error}") from error
