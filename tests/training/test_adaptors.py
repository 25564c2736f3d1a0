import numpy as np
import pytest

from bbn_tf.training.adaptors import ADAPTORS


@pytest.mark.parametrize(
    ("name", "at_0", "at_half", "near_end"),
    [
        ("equal", 0.5, 0.5, 0.5),
        ("parabolic_increment", 0, 0.25, 0.990025),
        ("linear_decay", 1, 0.5, 0.005),
        ("cosine_decay", 1, 0.7071068, 0.0078539),
        ("parabolic_decay", 1, 0.75, 0.009975),
    ],
)
def test_values_by_hand(name, at_0, at_half, near_end):
    """Of 200 epochs the published code's last is t = 199/200."""
    assert [ADAPTORS[name](t) for t in (0, 0.5, 199 / 200)] == pytest.approx([at_0, at_half, near_end], abs=1e-6)


def test_all_of_table_4():
    assert len(ADAPTORS) == 6


def test_beta_is_beta_of_a_fifth():
    """Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)); with a = 0.2 mass gathers at both ends."""
    rng = np.random.default_rng(0)
    draws = np.array([ADAPTORS["beta"](0.3, rng) for _ in range(20_000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.01)
    assert draws.var() == pytest.approx(1 / 5.6, abs=0.005)
