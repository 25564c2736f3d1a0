"""Weights of the classes in the loss, from the training images' class counts n_i (int [C], all positive)."""

import numpy as np

from bbn_tf.choices import Choice, Setting, Table, at_least


def no_weights(class_counts):
    """w_i = 1."""
    return np.ones(len(class_counts))


def inverse_frequency(class_counts):
    """w_i proportional to 1 / n_i, mean 1 ("RW" of arXiv:1912.02413, section 3)."""
    weights = 1 / np.asarray(class_counts, np.float64)
    return weights / weights.mean()


def effective_number(class_counts, effective_beta):
    """w_i proportional to (1 - beta) / (1 - beta^n_i), mean 1 (Cui et al., arXiv:1901.05555, Eq. 4).

    beta = 0 gives 1 for every class; beta -> 1 gives `inverse_frequency`.
    """
    counts = np.asarray(class_counts, np.float64)
    weights = 1 / (1 - effective_beta**counts)
    return weights / weights.mean()


EFFECTIVE_BETA = Setting("effective_beta", 0.9999, "Effective number of samples: beta.", rule=at_least(0, below=1))
CLASS_WEIGHTS = Table(
    "class_weights",
    none=Choice(no_weights),
    inverse=Choice(inverse_frequency),
    effective=Choice(effective_number, EFFECTIVE_BETA),
)
