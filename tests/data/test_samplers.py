import numpy as np
import pytest

from bbn_tf.data import long_tail, samplers

COUNTS = np.array([100, 50, 10])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("uniform", [100 / 160, 50 / 160, 10 / 160]), ("balanced", [1 / 3] * 3), ("reversed", [1 / 13, 2 / 13, 10 / 13])],
)
def test_probabilities_by_hand(name, expected):
    np.testing.assert_allclose(samplers.SAMPLERS[name](COUNTS), expected)


def test_rarest_class_of_cifar10_at_100():
    probs = samplers.reversed_(long_tail.class_counts(5000, 10, 100))
    assert round(100 * probs[-1], 1) == 40.2


@pytest.mark.parametrize("name", samplers.SAMPLERS)
def test_acceptance_gives_the_law(name):
    """Uniform draws times acceptance are in proportion to the wanted law, and as many as can be."""
    probs = samplers.SAMPLERS[name](COUNTS)
    acceptance = samplers.acceptance_probs(COUNTS, probs)
    kept = samplers.uniform(COUNTS) * acceptance
    np.testing.assert_allclose(kept / kept.sum(), probs)
    assert acceptance.max() == 1 and acceptance.min() > 0
