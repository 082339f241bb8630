from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, register

from apps.common.config import Directories, after_refresh, config
from apps.common.descriptors import DescriptorRegistry, versions
from apps.monitoring.features import register_estimations
from apps.monitoring.health import checks
from apps.recognition.descriptor_versions import register_versions
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.registry import Registry


class RecognitionConfig(AppConfig):
    name = "apps.recognition"
    verbose_name = "Recognition"

    def ready(self) -> None:
        """Register descriptor versions, health check, check of the networks and the renewal of the engine."""
        from apps.recognition.health import estimations_unavailable, features_available, recognition_check
        from apps.recognition.run.facade import renew

        checks.register("recognition", recognition_check, reason="pictures cannot be recognised")
        register_estimations(features_available, unavailable=estimations_unavailable)
        register(networks_check)
        after_refresh.append(renew)
        with suppress(NetworkError):  # `networks_check` reports it
            register_versions(Registry(config(Directories).networks), versions)


def networks_check(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Report an invalid directory of networks, because the default descriptor versions are then unknown."""
    try:
        register_versions(Registry(config(Directories).networks), DescriptorRegistry())
    except NetworkError as error:
        return [Error(str(error), id="recognition.E001")]
    return []
