"""Long-tailed subsets of balanced data sets, in NumPy alone (LDAM's recipe, arXiv:1906.07413)."""

import numpy as np

from bbn_tf.choices import Setting, at_least, is_seed
from bbn_tf.errors import UserError

PROFILES = ("exp", "step")
MANY_ABOVE, FEW_BELOW = 100, 20

IMBALANCE_FACTOR = Setting(
    "imbalance_factor",
    50.0,
    "N_max / N_min of the training images of a data set that is balanced as it comes.",
    rule=at_least(1),
)
IMBALANCE_PROFILE = Setting("imbalance_profile", "exp", "How class counts fall from head to tail.", names=PROFILES)
IMBALANCE_SEED = Setting("imbalance_seed", 0, "Which images of a class are kept.", rule=is_seed)
LONG_TAIL = (IMBALANCE_FACTOR, IMBALANCE_PROFILE, IMBALANCE_SEED)


def class_counts(max_count, num_classes, imbalance_factor, profile="exp"):
    """Images kept of each class, head to tail.

    "exp": N_i = int(N_max * IF^(-i / (C - 1))).  "step": the first half of the classes keeps N_max,
    the others int(N_max / IF).

    Args:
        max_count: N_max, images of the most frequent class.
        num_classes: C, at least 2.
        imbalance_factor: IF = N_max / N_min, at least 1.
        profile: one of `PROFILES`.

    Returns:
        int64 [C].

    Raises:
        UserError: a class would be empty.
    """
    ratio = 1 / imbalance_factor  # the published code's order of operations: int() is sensitive to it
    position = np.arange(num_classes)
    if profile == "exp":
        exponent = position / (num_classes - 1.0)
    elif profile == "step":
        exponent = (position >= num_classes // 2).astype(float)
    else:
        raise ValueError(f"profile must be one of {PROFILES}, received {profile!r}")
    counts = np.array([int(max_count * ratio**e) for e in exponent], np.int64)
    if counts.min() < 1:
        raise UserError(
            f"--imbalance_factor={imbalance_factor:g}: the rarest of {num_classes} classes would keep no "
            f"image; must be at most {max_count}, the size of the largest class"
        )
    return counts


def subset_indices(labels, counts, seed):
    """The images a long-tailed subset keeps, class after class in order of class index.

    Each class's indices are shuffled with NumPy's legacy generator, one stream over the classes, and
    the first `counts[i]` kept: what LDAM's code does with `np.random.seed(seed)`.

    Args:
        labels: int [N], the balanced data set's.
        counts: int [C].
        seed: of the shuffles.

    Returns:
        int64 [sum(counts)], indices into `labels`.
    """
    rng = np.random.RandomState(seed)
    kept = []
    for label, count in enumerate(counts):
        indices = np.flatnonzero(labels == label)
        rng.shuffle(indices)
        if len(indices) < count:
            raise ValueError(f"class {label} has {len(indices)} images, {count} are wanted")
        kept.append(indices[:count])
    return np.concatenate(kept)


def stratified_split(labels, fraction, seed):
    """Splits positions 0..N-1 into (train, held out), class by class.

    Of a class of n images, round(fraction * n) are held out, but at least one, and at least one stays
    (a class of one image stays whole).

    Returns:
        int64 [N - H] and int64 [H], both ascending.
    """
    rng = np.random.RandomState(seed)
    held_out = []
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        held_out.append(rng.permutation(indices)[:count])
    held_out = np.sort(np.concatenate(held_out))
    return np.setdiff1d(np.arange(len(labels)), held_out), held_out


def groups(counts):
    """Boolean masks [C] of the classes with many (> 100), medium (20..100), few (< 20) images."""
    counts = np.asarray(counts)
    many, few = counts > MANY_ABOVE, counts < FEW_BELOW
    return {"many": many, "medium": ~many & ~few, "few": few}
