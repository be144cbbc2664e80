"""Calibration finds the source that made the answers."""

import numpy as np
import pytest

from models import linear
from models.calibrate import power_calibration, sigmoid_calibration, softmax_calibration


def test_platt_recovers_the_slope_of_a_known_source() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(20_000, 1))
    target = rng.uniform(size=(20_000, 1)) < linear.powered_sigmoid(3 * margins - 1, 1.0)
    slopes, intercepts = sigmoid_calibration(margins, target)
    assert slopes[0] == pytest.approx(3, abs=0.15)
    assert intercepts[0] == pytest.approx(-1, abs=0.1)


def test_softmax_recovers_the_slope_of_a_known_source() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(20_000, 3))
    shares = linear.normalised(linear.exponential(2 * margins + np.array([0.5, 0.0, -0.5])))
    target = (rng.uniform(size=(20_000, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    found = softmax_calibration(margins, target)
    assert found.slopes == pytest.approx([2, 2, 2], abs=0.1)
    assert found.intercepts - found.intercepts[1] == pytest.approx([0.5, 0, -0.5], abs=0.1)


def test_either_way_leaves_less_loss_than_saying_nothing() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(0, 4, 2_000)
    margins = rng.normal(size=(2_000, 4)) + 2 * np.eye(4)[target]
    assert softmax_calibration(margins, target).loss < 0.8 * np.log(4)
    assert power_calibration(margins, target).loss < 0.8 * np.log(4)
