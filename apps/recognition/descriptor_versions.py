"""Descriptor versions of the known networks, as the whole platform knows them."""

from apps.common.descriptors import Calibration, DescriptorRegistry, DescriptorVersion
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.specs import DescriptorSpec, Manifest


def register_versions(networks: Registry, versions: DescriptorRegistry) -> None:
    """Every known network's version, installed or not: descriptors outlive their network. The default of a kind is the
    version of the network that serves its task.
    """
    for manifest in networks.manifests.values():
        if manifest.descriptor is not None:
            version = version_of(manifest, manifest.descriptor)
            versions.register(version, default=networks.selected(manifest.task) == manifest.name)


def version_of(manifest: Manifest, spec: DescriptorSpec) -> DescriptorVersion:
    """The version that a manifest's [descriptor] declares."""
    return DescriptorVersion(
        version=spec.version,
        kind="body" if manifest.task == "body_descriptor" else "face",
        network=manifest.name,
        dimension=spec.dimension,
        raw_encoding="uint8" if spec.raw_encoding == "uint8" else "float32-le",
        calibration=Calibration(spec.calibration),
    )
