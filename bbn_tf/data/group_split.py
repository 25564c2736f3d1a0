"""Which groups of images are held out: all images of a patient or of a burst stay on one side."""

import hashlib

import numpy as np


def held_out(groups, labels, fraction, purpose, seed):
    """Chooses groups to hold out, all images of each.

    The groups come in the order of a hash of purpose, seed and group.  One is held out if a class of it still lacks
    held-out images, of n images round(fraction * n), at least one and at most n - 1, and if every class of it keeps an
    image to train on.  So of a class somewhat more images are held out than without groups, none if all its images
    are in one group.

    Args:
        groups: sequence of N texts.
        labels: int [N].
        fraction: in (0, 1).
        purpose: "test" or "validation"; see `split.held_out`.
        seed: int.

    Returns:
        bool [N].
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    digests = [hashlib.blake2b(f"{purpose}/{seed}/{name}".encode(), digest_size=8).digest() for name in names.tolist()]
    counts = np.bincount(labels)
    wanted = np.clip(np.round(fraction * counts).astype(int), 1, np.maximum(counts - 1, 0))
    held, chosen = np.zeros(len(counts), int), np.zeros(len(names), bool)
    by_group = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of))[:-1])
    for group in np.argsort(np.frombuffer(b"".join(digests), np.uint64)):
        classes, images = np.unique(labels[by_group[group]], return_counts=True)
        if np.any(held[classes] < wanted[classes]) and np.all(held[classes] + images < counts[classes]):
            held[classes] += images
            chosen[group] = True
    return chosen[group_of]
