"""Data sets that fit into memory: digits, which need no download, and CIFAR from TFDS."""

import pathlib
import urllib.error
import urllib.request

import numpy as np

from bbn_tf.data import long_tail
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.errors import UserError

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # the published code's, for both
DIGITS_MAX_COUNT = 110  # of the 174 to 183 images a class; the others leave 60 a class for the test set
DIGITS_TEST_COUNT = 60


def digits(data_dir=None):
    """scikit-learn's 1,797 handwritten digits, 8x8 enlarged to 32x32x3: needs no download.

    110 training and 60 test images a class, drawn once and for all.
    """
    del data_dir
    import sklearn.datasets

    bunch = sklearn.datasets.load_digits()
    small = np.round(bunch.images * (255 / 16)).astype(np.uint8)  # [N, 8, 8], 0..16 before
    images = np.repeat(np.repeat(small, 4, axis=1), 4, axis=2)[..., None].repeat(3, axis=-1)
    per_class = [DIGITS_MAX_COUNT + DIGITS_TEST_COUNT] * 10
    chosen = long_tail.subset_indices(bunch.target, per_class, seed=0).reshape(10, -1)
    train, test = (part.ravel() for part in np.split(chosen, [DIGITS_MAX_COUNT], axis=1))
    labels = bunch.target.astype(np.int64)
    return ImageDataset(
        images[train], labels[train], images[test], labels[test], tuple(str(d) for d in range(10)),
        mean=(0.305,) * 3, std=(0.376,) * 3, horizontal_flip=False,
    )  # fmt: skip


def cifar10(data_dir=None):
    """CIFAR-10 from TFDS, in published order."""
    return _cifar("cifar10", data_dir)


def cifar100(data_dir=None):
    """CIFAR-100 from TFDS with its 100 fine labels, in published order."""
    return _cifar("cifar100", data_dir)


def _cifar(name, data_dir):
    builder = prepared_builder(name, data_dir, "https://www.cs.toronto.edu/~kriz/cifar.html")
    parts = []
    for split in ("train", "test"):
        batches = _read_all(builder, split)
        order = np.argsort(np.concatenate([batch["id"] for batch in batches]))  # TFRecords are shuffled
        for key in ("image", "label"):
            parts.append(np.concatenate([batch[key] for batch in batches])[order])
    names = tuple(builder.info.features["label"].names)
    return ImageDataset(*parts, names, CIFAR_MEAN, CIFAR_STD)


def _read_all(builder, split):
    """A split's batches, list of dicts of arrays."""
    import tensorflow as tf

    try:
        return list(builder.as_dataset(split=split, batch_size=10_000).as_numpy_iterator())
    except (tf.errors.OpError, OSError) as error:
        raise UserError(
            f"{builder.data_path}: damaged, {split} can't be read ({type(error).__name__}); delete the folder and "
            f"prepare {builder.name} again"
        ) from error


def prepared_builder(name, data_dir, home_page):
    """TFDS builder of a data set that is prepared, or was downloaded just now.

    Raises:
        UserError: neither prepared nor downloadable; says with which command to prepare it.
    """
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if builder.is_prepared():
            return builder
    except (OSError, ValueError, AssertionError) as error:
        raise UserError(f"--data_dir={data_dir or ''}: {name} can't be read: {_first_line(error)}") from error
    folder = pathlib.Path(builder.data_path).parents[1]
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--data_dir={folder}: is a file; must be the folder of TFDS's data")
    prepare = f"tfds build {name} --data_dir={folder}"
    try:  # TFDS alone would retry for over a minute
        urllib.request.urlopen(urllib.request.Request(home_page, method="HEAD"), timeout=5).close()
        builder.download_and_prepare()
    except Exception as error:
        raise UserError(
            f"--dataset={name}_lt: {name} is not prepared in {folder} and can't be downloaded "
            f"({_first_line(error)}); prepare it with `{prepare}`, or name its folder by --data_dir"
        ) from error
    return builder


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
