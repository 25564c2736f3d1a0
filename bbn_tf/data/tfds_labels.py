"""Labels of TFDS records: they lie within the records, so they are read once and kept beside the data."""

import pathlib
import urllib.parse

import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path

BATCH = 1024  # records at a time


def of_source(data, split, source):
    """Labels of a split that can be read at random: those kept by an earlier start, else read of every record.

    Args:
        data: `tfds_builders.Prepared`.
        split: TFDS's name of a split or of a part of one.
        source: its records by position, dicts with a label.

    Returns:
        int64 [N].
    """
    count = len(source)
    file = kept_in(data.builder, split)
    labels = _kept(file, count, len(data.class_names))
    if labels is None:
        print(f"{data.name} {split}: reading the labels of {count:,} records")
        labels = np.empty(count, np.int64)
        for start in range(0, count, BATCH):
            records = source.__getitems__(range(start, min(start + BATCH, count)))
            labels[start : start + len(records)] = [record[data.label] for record in records]
        _keep(file, labels)
    return labels


def kept_in(builder, split):
    """Path of the file of kept labels: in the folder of the data set's version, with which it is deleted."""
    return pathlib.Path(builder.data_path) / f".labels-{urllib.parse.quote(split, safe='')}.npy"


def _kept(file, count, classes):
    """The labels in a file; None if there is none or it is not of this split."""
    try:
        labels = np.load(file)
    except (OSError, ValueError, EOFError):
        return None
    fits = labels.shape == (count,) and labels.dtype == np.int64
    return labels if fits and labels.min() >= -1 and labels.max() < classes else None


def _keep(file, labels):
    try:
        with atomic_path(file) as temporary, open(temporary, "wb") as binary:
            np.save(binary, labels)
    except UserError as error:
        print(f"note: the next start reads all labels again: {error}")
