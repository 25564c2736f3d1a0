"""Losses and class weights against float64 NumPy written from the formulas, gradients included."""

import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.training import class_weights, losses
from bbn_tf.training.cross_entropy import AdjustedCrossEntropy

COUNTS = np.array([500, 100, 16, 1])
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 2, (6, 4))
LABELS = np.array([0, 1, 2, 3, 3, 0])


def log_softmax(z):
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def entropy(z):
    return -log_softmax(z)[np.arange(len(z)), LABELS]


def focal(z, gamma):
    e = entropy(z)
    return (1 - np.exp(-e)) ** gamma * e


def ldam(z, margin, scale):
    """Of logits that are scaled already."""
    margins = margin * (1 / COUNTS**0.25) / np.max(1 / COUNTS**0.25)
    shifted = np.array(z)
    for row, label in enumerate(LABELS):
        shifted[row, label] -= scale * margins[label]
    return entropy(shifted)


CASES = {
    "ce": ({}, entropy),
    "focal": ({"focal_gamma": 1.5}, lambda z: focal(z, 1.5)),
    "ldam": ({"ldam_margin": 0.5, "ldam_scale": 3.0}, lambda z: ldam(z, 0.5, 3)),
    "balanced_softmax": ({}, lambda z: entropy(np.log(COUNTS * np.exp(z)))),
    "logit_adjusted": ({"logit_adjustment": 1.5}, lambda z: entropy(z + 1.5 * np.log(COUNTS / 617))),
}


def keras_loss(name, counts=COUNTS, **settings):
    return AdjustedCrossEntropy(**losses.LOSSES[name](counts, **settings))


def value_and_gradient(loss, weights=None):
    z = tf.constant(LOGITS, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = loss(LABELS, z, sample_weight=weights)
    return float(value), tape.gradient(value, z).numpy()


def numeric_gradient(function, step=1e-6):
    gradient = np.zeros_like(LOGITS)
    for index in np.ndindex(*LOGITS.shape):
        moved = [LOGITS.copy(), LOGITS.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient


def test_every_loss_has_its_case():
    assert set(CASES) == set(losses.LOSSES)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    settings, by_hand = CASES[name]
    value, gradient = value_and_gradient(keras_loss(name, **settings))
    assert value == pytest.approx(by_hand(LOGITS).mean(), rel=1e-5)
    np.testing.assert_allclose(gradient, numeric_gradient(lambda z: by_hand(z).mean()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_weighted_mean(name):
    settings, by_hand = CASES[name]
    weights = class_weights.inverse_frequency(COUNTS)[LABELS].astype("float32")
    value, gradient = value_and_gradient(keras_loss(name, **settings), weights)

    def weighted(z):
        return np.sum(weights * by_hand(z)) / np.sum(weights)

    assert value == pytest.approx(weighted(LOGITS), rel=1e-5)
    np.testing.assert_allclose(gradient, numeric_gradient(weighted), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "counts", "settings"),
    [
        ("focal", COUNTS, {"focal_gamma": 0.0}),
        ("balanced_softmax", np.full(4, 7), {}),
        ("logit_adjusted", COUNTS, {"logit_adjustment": 0.0}),
        ("logit_adjusted", np.full(4, 7), {"logit_adjustment": 2.0}),
        ("ldam", COUNTS, {"ldam_margin": 0.0, "ldam_scale": 5.0}),
    ],
)
def test_limits_are_cross_entropy(name, counts, settings):
    value, _ = value_and_gradient(keras_loss(name, counts, **settings))
    assert value == pytest.approx(entropy(LOGITS).mean(), rel=1e-5)


def test_logit_adjustment_of_1_is_the_balanced_softmax():
    adjusted, balanced = keras_loss("logit_adjusted", logit_adjustment=1.0), keras_loss("balanced_softmax")
    assert value_and_gradient(adjusted)[0] == pytest.approx(value_and_gradient(balanced)[0], rel=1e-5)


def test_focal_has_a_gradient_where_the_answer_is_certain():
    z = tf.constant([[100.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = keras_loss("focal", np.array([1, 1]), focal_gamma=0.5)(np.array([0]), z)
    assert float(value) == 0 and np.all(np.isfinite(tape.gradient(value, z)))


def test_ldam_margins_by_hand():
    margins = losses.ldam(np.array([16, 1]), 0.5, 30.0)["margins"]
    assert margins == pytest.approx([7.5, 15])  # 30 times 0.25 and 0.5, since 16^(-1/4) = 1/2


def test_class_weights_by_hand():
    np.testing.assert_allclose(class_weights.inverse_frequency([2, 1]), [2 / 3, 4 / 3])
    # beta = 1/2: effective numbers 1 + 1/2 and 1, weights 2/3 and 1, mean 5/6.
    np.testing.assert_allclose(class_weights.effective_number([2, 1], 0.5), [0.8, 1.2])
    np.testing.assert_allclose(class_weights.no_weights([2, 1]), [1, 1])


def test_effective_numbers_limits():
    np.testing.assert_allclose(class_weights.effective_number(COUNTS, 0.0), np.ones(4))
    inverse = class_weights.inverse_frequency(COUNTS)
    np.testing.assert_allclose(class_weights.effective_number(COUNTS, 1 - 1e-9), inverse, rtol=1e-4)
