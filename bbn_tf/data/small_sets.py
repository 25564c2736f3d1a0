"""Data sets that fit into memory: digits, which need no download, and CIFAR from TFDS."""

import dataclasses
import pathlib
import shlex
import urllib.error
import urllib.request

import numpy as np

from bbn_tf.data import long_tail, tfds_origin
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.errors import UserError

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # the published code has one for both sets
DIGITS_MAX_COUNT = 110  # a class has 174 to 183 images, so 60 are left for the test set
DIGITS_TEST_COUNT = 60
SPLITS = ("train", "test")  # of CIFAR in TFDS


def digits(data_dir=None):
    """Loads scikit-learn's 1,797 handwritten digits, enlarged from 8x8 to 32x32x3; they need no download.

    Each class has 110 training and 60 test images; the selection never changes.
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
    names = tuple(str(digit) for digit in range(10))
    parts = (images[train], labels[train], images[test], labels[test])
    return ImageDataset(*parts, names, mean=(0.305,) * 3, std=(0.376,) * 3, horizontal_flip=False)


def cifar10(data_dir=None):
    """Loads CIFAR-10 from TFDS, in the order of the original files."""
    return _cifar("cifar10", data_dir)


def cifar100(data_dir=None):
    """Loads CIFAR-100 from TFDS with its 100 fine labels, in the order of the original files."""
    return _cifar("cifar100", data_dir)


def _cifar(name, data_dir):
    builder = prepared_builder(name, data_dir, "https://www.cs.toronto.edu/~kriz/cifar.html")
    parts, told_apart_by = [], []
    for split in SPLITS:
        batches = _read_all(builder, split)
        ids = np.concatenate([batch["id"] for batch in batches])
        order = np.argsort(ids)  # TFRecords are shuffled
        images, labels = (np.concatenate([batch[key] for batch in batches])[order] for key in ("image", "label"))
        parts += [images, labels]
        told_apart_by.append(list(zip(labels.tolist(), ids[order].tolist(), strict=True)))
    names = tuple(builder.info.features["label"].names)
    origin = tfds_origin.of(builder, f"{name}_lt", SPLITS, told_apart_by)
    origin = dataclasses.replace(origin, version=name)  # TFDS's own does not matter: the ids say which images they are
    return ImageDataset(*parts, names, CIFAR_MEAN, CIFAR_STD, origin=origin)


def _read_all(builder, split):
    """Reads all batches of a split into a list of dicts of arrays."""
    import tensorflow as tf

    try:
        return list(builder.as_dataset(split=split, batch_size=10_000).as_numpy_iterator())
    except (tf.errors.OpError, OSError) as error:
        raise UserError(
            f"{builder.data_path}: damaged, {split} can't be read ({type(error).__name__}); delete the folder and "
            f"prepare {builder.name} again"
        ) from error


def prepared_builder(name, data_dir, home_page):
    """Returns the TFDS builder of a data set; downloads and prepares the data set if necessary.

    Args:
        name: of the data set in TFDS.
        data_dir: folder of TFDS's data; None for TFDS's default.
        home_page: URL; if it does not answer, no download is tried.

    Raises:
        UserError: the data set is not prepared and can't be downloaded; the message names the command that prepares it.
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
        raise UserError(f"--data_dir={folder}: is a file; must be the folder that holds TFDS's data")
    prepare = f"tfds build {name} --data_dir={shlex.quote(str(folder))}"
    try:  # without this test TFDS would retry for over a minute
        urllib.request.urlopen(urllib.request.Request(home_page, method="HEAD"), timeout=5).close()
        builder.download_and_prepare()
    except Exception as error:
        raise UserError(
            f"--dataset={name}_lt: {name} is not prepared in {folder} and can't be downloaded "
            f"({_first_line(error)}); prepare it with `{prepare}`, or name its folder with --data_dir"
        ) from error
    return builder


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
