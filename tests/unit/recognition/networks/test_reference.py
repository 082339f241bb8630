"""Reference outputs: the embedded networks agree with the original runtimes, and a changed weight is noticed."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from apps.common.config import Directories, config
from apps.recognition.networks.builder import build_network
from apps.recognition.networks.errors import NetworkError
from apps.recognition.networks.reference import (
    difference,
    record_reference,
    reference_images,
    run_network,
    summarise,
    verify,
)
from apps.recognition.networks.registry import InstalledNetwork, Registry
from tests.unit.recognition.networks.tiny import TinySet

DEFAULT_NETWORKS = Registry(config(Directories).networks).embedded()


@pytest.mark.parametrize("name", DEFAULT_NETWORKS)
def test_an_embedded_network_computes_what_the_original_does(name: str) -> None:
    results = verify(Registry(config(Directories).networks).get(name))
    assert results
    assert [result for result in results if not result.ok] == []


@pytest.mark.parametrize("name", DEFAULT_NETWORKS)
def test_a_batch_gives_what_its_pictures_give_alone(name: str) -> None:
    network = Registry(config(Directories).networks).get(name)
    images = reference_images(network.manifest.input, seed=5, batch=3)
    together = run_network(network, images)
    alone = run_network(network, images[1:2])
    for output, values in together.items():
        np.testing.assert_allclose(values[1:2], alone[output], rtol=1e-4, atol=1e-5 * np.abs(values).max())


@pytest.fixture
def network(tiny: TinySet) -> InstalledNetwork:
    build_network(tiny.registry().manifest("tiny"), directory=tiny.networks, cache=tiny.cache)
    return tiny.registry().get("tiny")


@pytest.fixture
def reference(network: InstalledNetwork) -> Path:
    matrix = np.linspace(-1, 1, 32).reshape(16, 2)
    pixels = reference_images(network.manifest.input, seed=3, batch=2).reshape(2, 16) / 255
    summary = summarise((pixels @ matrix).astype(np.float32)) | {"tolerance": 1e-5}
    path = network.path.parent / "references" / "tiny.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"seed": 3, "outputs": {"sums": summary}}))
    return path


def test_the_tiny_network_agrees_with_numpy(network: InstalledNetwork, reference: Path) -> None:
    (result,) = verify(network)
    assert result.ok
    assert result.difference < result.tolerance


def test_a_changed_weight_is_noticed(network: InstalledNetwork, reference: Path) -> None:
    model = onnx.load(network.path)
    weights = next(value for value in model.graph.initializer if value.data_type == onnx.TensorProto.FLOAT)
    changed = np.frombuffer(weights.raw_data, np.float32).copy()
    changed[5] += 1e-3
    weights.raw_data = changed.tobytes()
    network.path.write_bytes(model.SerializeToString())
    (result,) = verify(network)
    assert not result.ok


def test_a_broken_file_and_a_missing_reference_are_errors(network: InstalledNetwork, reference: Path) -> None:
    reference.unlink()
    with pytest.raises(NetworkError, match="tiny has no reference outputs"):
        verify(network)
    record_reference(network, network.path.parent)
    assert verify(network)[0].ok
    network.path.write_bytes(b"not a network")
    with pytest.raises(NetworkError, match="network tiny does not run"):
        verify(network)


def test_another_shape_and_nan_never_agree() -> None:
    values = np.ones((2, 3), np.float32)
    summary = summarise(values)
    assert difference(values, summary) == 0
    assert difference(values.T, summary) == np.inf
    assert not difference(values * np.nan, summary) <= 1e9


def test_reference_images_are_the_same_everywhere(network: InstalledNetwork) -> None:
    images = reference_images(network.manifest.input, seed=1, batch=2)
    assert images.dtype == np.uint8
    assert images.shape == (2, 4, 4, 1)
    # The first numbers of the legacy generator with seed 1 are fixed: two cells of 64 px, two of 16 px, then 4 px.
    draws = np.random.RandomState(1).randint(0, 256, 6)
    assert draws.tolist() == [37, 235, 140, 72, 255, 137]
    assert images[0].max() == images[0].min() == (37 + 140 + 255) // 3
