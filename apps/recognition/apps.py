from django.apps import AppConfig
from django.conf import settings

from apps.common.descriptors import Calibration, DescriptorVersion, versions
from apps.monitoring.features import register_estimators
from apps.monitoring.health import checks
from apps.recognition.networks.registry import Registry


class RecognitionConfig(AppConfig):
    name = "apps.recognition"
    verbose_name = "Recognition"

    def ready(self) -> None:
        """Tells the platform which descriptor versions the known networks give, and how to check the engine."""
        from apps.recognition.health import estimators_available, recognition_check

        checks.register("recognition", recognition_check)
        register_estimators(estimators_available)
        registry = Registry(settings.NETWORKS_DIR)
        for manifest in registry.manifests.values():
            spec = manifest.descriptor
            if spec is None:
                continue
            version = DescriptorVersion(
                version=spec.version,
                kind="body" if manifest.task == "body_descriptor" else "face",
                network=manifest.name,
                dimension=spec.dimension,
                raw_encoding="uint8" if spec.raw_encoding == "uint8" else "float32-le",
                calibration=Calibration(spec.calibration),
            )
            versions.register(version, default=registry.selected(manifest.task) == manifest.name)
