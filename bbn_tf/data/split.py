"""Which images of a class are held out: by a hash of their names, so that other images have no say in it."""

import hashlib

import numpy as np


def held_out(names, labels, fraction, purpose, seed):
    """Chooses images to hold out, class by class.

    Within a class the images are ordered by a hash of purpose, seed and name; of n images the first
    round(fraction * n) are held out, at least one and at most n - 1.  One more or one less image moves at most one
    other of its class and none of another class.

    Args:
        names: sequence of N texts, path below the class, in NFC and with "/".
        labels: int [N].
        fraction: in (0, 1).
        purpose: "test" or "validation": what is held out for one is not what is held out for the other.
        seed: int.

    Returns:
        bool [N].
    """
    start = f"{purpose}/{seed}/"
    digests = (hashlib.blake2b((start + name).encode("utf-8", "surrogateescape"), digest_size=8) for name in names)
    places = np.frombuffer(b"".join(digest.digest() for digest in digests), np.uint64)
    order = np.lexsort((places, labels))  # class by class, within it by hash
    counts = np.bincount(labels)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < np.array([_number(fraction, count) for count in counts])[labels]


def _number(fraction, count):
    return max(0, min(max(1, round(fraction * count)), count - 1))
