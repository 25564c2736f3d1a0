"""The losses: each is the cross-entropy of `bbn_tf.training.cross_entropy` with offsets, margins or a focus.

A row's function maps the training images' class counts n_i (int [C], all positive) to the arguments of
`AdjustedCrossEntropy`; formulas are the cited papers', in NumPy alone.
"""

import numpy as np

from bbn_tf.choices import Choice, Setting, Table, at_least, imported


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


FOCAL_GAMMA = Setting("focal_gamma", 2.0, "Exponent of the focal loss.", rule=at_least(0))
LDAM_MARGIN = Setting("ldam_margin", 0.5, "LDAM: margin of the rarest class.", rule=at_least(0))
LDAM_SCALE = Setting("ldam_scale", 30.0, "LDAM: factor of the cosines.", rule=at_least(0))
LOGIT_ADJUSTMENT = Setting("logit_adjustment", 1.0, "Logit adjustment: tau.", rule=at_least(0))
LOSSES = Table(
    "loss",
    ce=Choice(cross_entropy),
    focal=Choice(focal, FOCAL_GAMMA),
    # Its logits are cosines times the setting that the trait names.
    ldam=Choice(ldam, LDAM_MARGIN, LDAM_SCALE, cosine_scale="ldam_scale"),
    balanced_softmax=Choice(balanced_softmax),
    logit_adjusted=Choice(logit_adjusted, LOGIT_ADJUSTMENT),
)


def build(name, class_counts, **own):
    """The loss of a name in `LOSSES`, `AdjustedCrossEntropy`.

    Args:
        name: of the row.
        class_counts: int [C], training images of each class.
        **own: settings of the row.
    """
    return imported("bbn_tf.training.cross_entropy:AdjustedCrossEntropy")(**LOSSES[name](class_counts, **own))
