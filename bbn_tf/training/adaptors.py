"""Adaptors: how alpha, the weight of the conventional branch, moves over training (Table 4).

Each is a function of the progress t = T / T_max in [0, 1), T the epoch from 0 (as the published code
counts: training starts at t = 0 and never reaches 1).  `beta` alone ignores the progress and draws
from `rng`; it is drawn anew every step, the others are set once an epoch.

    >>> parabolic_decay(0.5)
    0.75
"""

import math

from bbn_tf.choices import Choice, Setting, Table


def equal(t, rng=None):
    """alpha = 0.5."""
    return 0.5


def beta(t, rng):
    """alpha ~ Beta(0.2, 0.2), drawn from `rng` (numpy.random.Generator)."""
    return float(rng.beta(0.2, 0.2))


def parabolic_increment(t, rng=None):
    """alpha = t^2."""
    return t**2


def linear_decay(t, rng=None):
    """alpha = 1 - t."""
    return 1 - t


def cosine_decay(t, rng=None):
    """alpha = cos(t * pi / 2)."""
    return math.cos(t * math.pi / 2)


def parabolic_decay(t, rng=None):
    """alpha = 1 - t^2 (Eq. 5 of arXiv:1912.02413, the proposed one)."""
    return 1 - t**2


ADAPTORS = Table(
    "adaptor",
    equal=Choice(equal),
    beta=Choice(beta, drawn_every_step=True),
    parabolic_increment=Choice(parabolic_increment),
    linear_decay=Choice(linear_decay),
    cosine_decay=Choice(cosine_decay),
    parabolic_decay=Choice(parabolic_decay),
)
ADAPTOR = Setting("adaptor", "parabolic_decay", "How BBN's alpha moves over the epochs.", table=ADAPTORS)
