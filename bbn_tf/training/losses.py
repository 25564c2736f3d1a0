"""Losses for long tails and the class weights that go with them, in NumPy alone; formulas from the cited papers.

A loss is a function of the training images' class counts n_i (int [C], all positive) that says how
`bbn_tf.training.cross_entropy.AdjustedCrossEntropy` treats the logits.
"""

import numpy as np


def cross_entropy(class_counts):
    """-log softmax(z)_y."""
    return {}


def focal(class_counts, focal_gamma):
    """(1 - p_y)^gamma * -log p_y with p = softmax(z) (Lin et al., arXiv:1708.02002, without its alpha)."""
    return {"gamma": focal_gamma}


def ldam(class_counts, ldam_margin, ldam_scale):
    """Margins proportional to n_i^(-1/4), the largest `ldam_margin`, on `ldam_scale` times cosines.

    Cao et al., arXiv:1906.07413, Eq. 13, normalised and scaled as their code does.  The logits must be
    those scaled cosines (`layers.CosineClassifier`), so that what is served are probabilities.
    """
    margins = np.asarray(class_counts, np.float64) ** -0.25
    return {"margins": (ldam_scale * margins * (ldam_margin / margins.max())).tolist()}


def balanced_softmax(class_counts):
    """Offsets log n_i (Ren et al., arXiv:2007.10740, Eq. 3)."""
    return {"offsets": np.log(class_counts).tolist()}


def logit_adjusted(class_counts, logit_adjustment):
    """Offsets tau log(n_i / N) (Menon et al., arXiv:2007.07314, Eq. 10)."""
    prior = np.asarray(class_counts) / np.sum(class_counts)
    return {"offsets": (logit_adjustment * np.log(prior)).tolist()}


LOSSES = {
    "ce": cross_entropy,
    "focal": focal,
    "ldam": ldam,
    "balanced_softmax": balanced_softmax,
    "logit_adjusted": logit_adjusted,
}


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


CLASS_WEIGHTS = {"none": no_weights, "inverse": inverse_frequency, "effective": effective_number}
