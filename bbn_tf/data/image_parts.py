"""Which image files a data set has, and in which part each is: what a run records and what it is compared with."""

import dataclasses
import os
import unicodedata

import numpy as np

PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Image files with their classes.

    Attributes:
        paths: bytes [N].
        labels: int64 [N].
        starts: int32 [N], where in a path the path below the class begins.
    """

    paths: np.ndarray
    labels: np.ndarray
    starts: np.ndarray

    def __len__(self):
        return len(self.labels)

    def take(self, chosen):
        """Those of `chosen`, bool [N] or int [M]."""
        chosen = np.asarray(chosen, np.int64) if len(chosen) == 0 else chosen  # NumPy takes [] for floats
        return ImageFiles(self.paths[chosen], self.labels[chosen], self.starts[chosen])

    def names(self):
        """List of N texts: the path below the class, in NFC."""
        return [name_of(path[start:]) for path, start in zip(self.paths.tolist(), self.starts.tolist(), strict=True)]

    def sizes(self):
        """List of N sizes in bytes, -1 of a file that can't be found."""
        return [_size(path) for path in self.paths.tolist()]

    def identities(self):
        """List of N tuples (label, path below the class, size): by which an image is the same."""
        return list(zip(self.labels.tolist(), self.names(), self.sizes(), strict=True))


def files_of_rows(rows):
    """`ImageFiles` of a sequence of (path, label, start)."""
    paths, labels, starts = zip(*rows, strict=True) if rows else ((), (), ())
    return ImageFiles(np.array(paths, np.bytes_), np.array(labels, np.int64), np.array(starts, np.int32))


def nothing():
    return files_of_rows([])


def joined(parts):
    """`ImageFiles` of several, one after the other."""
    parts = [*parts, nothing()]
    return ImageFiles(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in dataclasses.fields(ImageFiles)))


def name_of(path):
    """Bytes as text in NFC, bytes that are no UTF-8 kept as surrogates."""
    text = os.fsdecode(path)
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _size(path):
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
