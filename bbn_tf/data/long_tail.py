"""Long-tailed subsets of balanced data sets, made with NumPy only, as LDAM makes them (arXiv:1906.07413)."""

import numpy as np

from bbn_tf.choices import Setting, at_least, is_seed
from bbn_tf.errors import UserError

PROFILES = ("exp", "step")
MANY_ABOVE, FEW_BELOW = 100, 20


def _where_a_tail_is_made(default):
    """What a setting of how the tail is made needs, which without a factor means nothing."""

    def fits(value, values):
        as_it_is = values["imbalance_factor"] is None and value not in (None, default)
        return "needs --imbalance_factor, without which the data is taken as it is" if as_it_is else None

    return fits


IMBALANCE_FACTOR = Setting(
    "imbalance_factor",
    50.0,
    "N_max / N_min of the training images; for data sets that are balanced originally.",
    rule=at_least(1),
)
IMBALANCE_PROFILE = Setting(
    "imbalance_profile",
    "exp",
    "How class counts decrease from head to tail.",
    names=PROFILES,
    fits=_where_a_tail_is_made("exp"),
)
IMBALANCE_SEED = Setting(
    "imbalance_seed",
    0,
    "Seed that selects which images of a class are kept.",
    rule=is_seed,
    fits=_where_a_tail_is_made(0),
)
LONG_TAIL = (IMBALANCE_FACTOR, IMBALANCE_PROFILE, IMBALANCE_SEED)
AS_IT_IS = (IMBALANCE_FACTOR.with_default(None), IMBALANCE_PROFILE, IMBALANCE_SEED)  # unless a factor is given


def class_counts(max_count, num_classes, imbalance_factor, profile="exp"):
    """Number of images to keep in each class, from head to tail.

    "exp": N_i = int(N_max * IF^(-i / (C - 1))).  "step": the first half of the classes keeps N_max images, the other
    half int(N_max / IF).

    Args:
        max_count: N_max, images in the most frequent class.
        num_classes: C, at least 2.
        imbalance_factor: IF = N_max / N_min, at least 1.
        profile: one of `PROFILES`.

    Returns:
        int64 [C].

    Raises:
        UserError: a class would be empty.
    """
    ratio = 1 / imbalance_factor  # same order of operations as the published code, because int() depends on it
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
    """Selects the images of a long-tailed subset, ordered by class index.

    NumPy's legacy generator shuffles the indices of one class after the other, and the first `counts[i]` are kept.
    LDAM's code does the same after `np.random.seed(seed)`.

    Args:
        labels: int [N], labels of the balanced data set.
        counts: int [C], images to keep in each class.
        seed: int, for the shuffles.

    Returns:
        int64 [sum(counts)], indices into `labels`.

    Raises:
        UserError: a class has fewer images than `counts` asks for.
    """
    rng = np.random.RandomState(seed)
    kept = []
    for label, count in enumerate(counts):
        indices = np.flatnonzero(labels == label)
        rng.shuffle(indices)
        if len(indices) < count:
            raise UserError(
                f"--imbalance_factor: class {label} has {len(indices)} images, {count} are wanted; needs a data set "
                "with as many images of every class, or leave it out for the data as they are"
            )
        kept.append(indices[:count])
    return np.concatenate(kept)


def stratified_split(labels, fraction, seed):
    """Splits the positions 0..N-1 into training and held-out positions, separately for each class.

    A class with n images gives round(fraction * n) of them to the held-out part, but at least one, and it keeps at
    least one for training (a class with one image gives none).

    Args:
        labels: int [N].
        fraction: float, the held-out part of each class.
        seed: int.

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
    """dict of boolean masks [C]: classes with many (> 100), medium (20..100) and few (< 20) training images."""
    counts = np.asarray(counts)
    many, few = counts > MANY_ABOVE, counts < FEW_BELOW
    return {"many": many, "medium": ~many & ~few, "few": few}
