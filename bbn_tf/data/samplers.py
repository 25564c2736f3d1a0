"""Class samplers, functions `class_counts -> class_probs`, and the acceptance probabilities for rejection sampling."""

import numpy as np

from bbn_tf.choices import CLASSIFIER, Choice, Setting, Table


def uniform(class_counts):
    """Every image has the same probability: P_i = N_i / N."""
    return class_counts / np.sum(class_counts)


def balanced(class_counts):
    """Every class has the same probability: P_i = 1 / C."""
    return np.full(len(class_counts), 1 / len(class_counts))


def reversed_(class_counts):
    """Rare classes are drawn more often: P_i = w_i / sum(w), w_i = N_max / N_i (Eq. 4 of arXiv:1912.02413)."""
    weights = np.max(class_counts) / np.asarray(class_counts)
    return weights / np.sum(weights)


SAMPLERS = Table("sampler", uniform=Choice(uniform), balanced=Choice(balanced), reversed=Choice(reversed_))
SAMPLER = Setting(
    "sampler",
    "uniform",
    "Class sampler of BBN's re-balancing branch, or of the plain model's only stream.",
    table=SAMPLERS,
    part=CLASSIFIER,
    rescaled=True,  # of another stream
)


def acceptance_probs(class_counts, class_probs):
    """Probability to keep a uniformly drawn image of each class, so that the kept classes follow `class_probs`.

    The probabilities are as large as possible: a_i = r_i / max(r) with r_i = P_i N / N_i.

    Args:
        class_counts: int [C], all positive.
        class_probs: float [C], sums to 1.

    Returns:
        float64 [C] in [0, 1]; the largest is exactly 1.

    Raises:
        ValueError: a class has no image, so it can't be drawn.
    """
    if np.min(class_counts) < 1:
        raise ValueError(f"class {np.argmin(class_counts)} has no image to draw")
    ratio = class_probs * np.sum(class_counts) / np.asarray(class_counts)
    return ratio / np.max(ratio)
