"""Sample photographs for the demo and the tests: six group pictures and portraits of one published package."""

from pathlib import Path

from apps.recognition.networks.errors import NetworkError

SAMPLE_PACKAGE = "@vladmandic/face-api"
SAMPLE_COUNT = 6


def sample_photographs(cache: Path) -> list[Path]:
    """The six JPEG files sample1..sample6 below a cache directory, in this order.

    Raises NetworkError when they were not fetched yet.
    """
    demo = cache / "npm" / "node_modules" / SAMPLE_PACKAGE / "demo"
    paths = [demo / f"sample{number}.jpg" for number in range(1, SAMPLE_COUNT + 1)]
    if not all(path.is_file() for path in paths):
        raise NetworkError(f"the sample photographs are not in {demo}; run `python manage.py networks build`")
    return paths
