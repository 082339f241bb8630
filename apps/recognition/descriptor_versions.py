"""Registration of the descriptor versions of known networks."""

from apps.common.descriptors import Calibration, DescriptorRegistry, DescriptorVersion
from apps.recognition.networks.registry import Registry
from apps.recognition.networks.specs import DescriptorSpec, Manifest


def register_versions(networks: Registry, versions: DescriptorRegistry) -> None:
    """Register the versions of all known networks, installed or not, because descriptors outlive their network.

    The default of a kind is the version of the network that serves its task.
    """
    for manifest in networks.manifests.values():
        if manifest.descriptor is not None:
            version = version_of(manifest, manifest.descriptor)
            versions.register(version, default=networks.selected(manifest.task) == manifest.name)


def version_of(manifest: Manifest, spec: DescriptorSpec) -> DescriptorVersion:
    """Return the version of a manifest's section `[descriptor]`."""
    return DescriptorVersion(
        version=spec.version,
        kind="body" if manifest.task == "body_descriptor" else "face",
        network=manifest.name,
        dimension=spec.dimension,
        raw_encoding="uint8" if spec.raw_encoding == "uint8" else "float32-le",
        calibration=Calibration(spec.calibration),
    )
