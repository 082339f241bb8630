"""Affine maps: points go where pixels go."""

import cv2
import numpy as np
import pytest

from apps.recognition.engine import geometry
from apps.recognition.engine.warps import WARP_TEMPLATE, cut_warp


def test_similarity_transform_finds_rotation_scale_and_shift() -> None:
    rng = np.random.default_rng(1)
    source = rng.uniform(0, 100, (5, 2))
    angle, scale, shift = 0.7, 1.8, np.array([12.0, -3.0])
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = geometry.similarity_transform(source, source @ rotation.T + shift)
    np.testing.assert_allclose(matrix, np.column_stack([rotation, shift]), atol=1e-9)


def test_similarity_transform_never_mirrors() -> None:
    source = np.array([[0, 0], [10, 0], [5, 8], [2, 12], [8, 12]], float)
    matrix = geometry.similarity_transform(source, source * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_similarity_transform_refuses_one_point() -> None:
    with pytest.raises(ValueError, match="coincide"):
        geometry.similarity_transform(np.ones((5, 2)), np.ones((5, 2)))


def test_inverse_undoes() -> None:
    matrix = geometry.square_transform((30, 40), 80, 0.4, 128)
    points = np.array([[1, 2], [50, 60], [-5, 90]], np.float32)
    back = geometry.apply(geometry.inverse(matrix), geometry.apply(matrix, points))
    np.testing.assert_allclose(back, points, atol=1e-4)
    both = geometry.compose(matrix, geometry.inverse(matrix))
    np.testing.assert_allclose(both, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


@pytest.mark.parametrize("side", [60.0, 150.0, 700.0], ids=["enlarged", "same", "shrunk"])
def test_resample_puts_a_dot_where_its_point_goes(side: float) -> None:
    image = np.zeros((800, 1000, 3), np.uint8)
    dot = (520, 410)
    cv2.circle(image, dot, 8, (255, 255, 255), -1)
    matrix = geometry.square_transform((500, 400), side, 0.5, 150)
    crop = geometry.resample(image, matrix, 150)
    ys, xs = np.nonzero(crop[..., 0] > 100)
    expected = geometry.apply(matrix, np.array([dot], np.float32))[0]
    np.testing.assert_allclose([xs.mean(), ys.mean()], expected, atol=0.6)


def test_resample_averages_what_it_shrinks() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = geometry.resample(stripes, geometry.square_transform((319.5, 319.5), 600, 0.0, 60), 60)
    assert np.abs(crop.astype(int) - 127).max() < 20


def test_resample_outside_of_the_picture_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    crop = geometry.resample(image, geometry.square_transform((0, 0), 40, 0.0, 40), 40)
    assert crop[:15, :15].max() == 0
    assert crop[25:, 25:].min() == 200


def test_warp_brings_five_points_to_the_template() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    points = (WARP_TEMPLATE * 0.8 + [60, 40]).astype(np.float32)
    warp, landmarks5, _ = cut_warp(image, points)
    assert warp.shape == (250, 250, 3)
    np.testing.assert_allclose(landmarks5, WARP_TEMPLATE, atol=1e-3)
