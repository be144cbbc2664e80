"""Margins to probabilities, fitted on answers to rows that the model did not see."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models import linear


class Calibration(NamedTuple):
    """How margins of C columns become probabilities (models/linear.py), and the log loss left on what it was fitted on."""

    link: Literal["softmax", "sigmoid"]
    slopes: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    powers: NDArray[np.float64]
    loss: float


def softmax_calibration(margins: NDArray[np.float64], target: NDArray[np.int64]) -> Calibration:
    """One slope for all columns and an intercept for each, by least log loss."""
    count = margins.shape[1]

    def loss(point: NDArray[np.float64]) -> float:
        return _log_loss(linear.exponential(margins * np.exp(point[0]) + point[1:]), target)

    found = minimize(loss, np.zeros(count + 1), method="L-BFGS-B")
    return Calibration("softmax", np.full(count, np.exp(found.x[0])), found.x[1:], np.ones(count), float(found.fun))


def temperature(margins: NDArray[np.float64], target: NDArray[np.int64]) -> Calibration:
    """One slope for all columns and nothing else (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""
    count = margins.shape[1]

    def loss(point: NDArray[np.float64]) -> float:
        return _log_loss(linear.exponential(margins * np.exp(point[0])), target)

    found = minimize(loss, np.zeros(1), method="L-BFGS-B")
    return Calibration("softmax", np.full(count, np.exp(found.x[0])), np.zeros(count), np.ones(count), float(found.fun))


def power_calibration(margins: NDArray[np.float64], target: NDArray[np.int64]) -> Calibration:
    """Platt's sigmoid for each column, and one power to which all are raised before a row is divided by its sum."""
    count = margins.shape[1]
    slopes, intercepts = sigmoid_calibration(margins, target[:, None] == np.arange(count))
    probabilities = linear.powered_sigmoid(margins * slopes + intercepts, 1.0)

    def loss(power: NDArray[np.float64]) -> float:
        return _log_loss(probabilities ** float(power[0]), target)

    found = minimize(loss, np.ones(1), method="L-BFGS-B", bounds=[(0.2, 5.0)])
    return Calibration("sigmoid", slopes, intercepts, np.full(count, found.x[0]), float(found.fun))


def _log_loss(columns: NDArray[np.float64], target: NDArray[np.int64]) -> float:
    return float(-np.log(linear.normalised(columns)[np.arange(len(target)), target]).mean())


def _platt_loss(point: NDArray[np.float64], margin: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    logit = margin * point[0] + point[1]
    return float((np.logaddexp(0, logit) - wanted * logit).mean())


def sigmoid_calibration(margins: NDArray[np.float64], target: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Platt's slope and intercept for each column (Platt 1999, with his smoothed targets)."""
    slopes, intercepts = [], []
    for column in range(margins.shape[1]):
        yes = target[:, column]
        wanted = np.where(yes, (yes.sum() + 1) / (yes.sum() + 2), 1 / ((~yes).sum() + 2))

        slope, intercept = minimize(_platt_loss, np.array([2.0, 0.0]), args=(margins[:, column], wanted), method="L-BFGS-B").x
        slopes.append(slope)
        intercepts.append(intercept)
    return np.array(slopes), np.array(intercepts)
