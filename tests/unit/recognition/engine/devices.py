"""Inputs of sessions, and a mark for tests that need a GPU."""

from pathlib import Path

import numpy as np
import pytest

from apps.recognition.networks.reference import reference_images
from apps.recognition.networks.specs import Manifest


def batch(manifest: Manifest, rows: int) -> np.ndarray:
    return manifest.input.tensor(reference_images(manifest.input, seed=3, batch=rows))


needs_gpu = pytest.mark.skipif(not any(Path("/dev").glob("nvidia[0-9]*")), reason="there is no GPU")
