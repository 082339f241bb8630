"""Sample photographs for the demo and the tests: six group pictures and portraits of a published package."""

from pathlib import Path

from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.node_packages import npm_packages

SAMPLE_PACKAGE = "@vladmandic/face-api"
SAMPLE_COUNT = 6


def sample_photographs(cache: Path) -> list[Path]:
    """Return the six JPEG files sample1..sample6, in this order, in a cache directory.

    The package is fetched at first use. Raises NetworkError if this fails.
    """
    demo = npm_packages(cache) / "node_modules" / SAMPLE_PACKAGE / "demo"
    paths = [demo / f"sample{number}.jpg" for number in range(1, SAMPLE_COUNT + 1)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise NetworkError(
            f"the package {SAMPLE_PACKAGE} has no {', '.join(missing)}; remove {cache / 'npm'} and retry"
        )
    return paths
