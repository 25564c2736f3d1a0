"""What several benchmarks need: the package, random images, the rate of a dataset.

Importing it makes `bbn_tf` importable from any folder, and sets TensorFlow's environment, which must come before the
import of TensorFlow or Keras.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import bbn_tf.__main__  # noqa: F401

BATCH = 128
WITHOUT_PUBLISHED = "without the authors' code: it needs --published, a clone, and --torch_python, see --help"


def add_published(parser):
    """Gives a parser the options that name the authors' code."""
    parser.add_argument("--published", help="clone of the authors' code")
    parser.add_argument("--torch_python", help="Python with PyTorch and what else the clone imports")


def check_published(parser, options):
    """Ends the program if only one of the two is given."""
    if bool(options.published) != bool(options.torch_python):
        parser.error("--published and --torch_python come together")


def per_second(batches, images, seconds):
    """Images a second of a dataset of batches of so many images, after two batches to warm up."""
    iterator = iter(batches)
    for _ in range(2):
        next(iterator)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(iterator)
        done += images
    return done / (time.perf_counter() - start)


def random_images(imbalance_factor, shrink=1):
    """`ImageDataset` of random pixels, long-tailed CIFAR-10's in number and size but for `shrink`."""
    import numpy as np

    from bbn_tf.data import long_tail
    from bbn_tf.data.image_dataset import ImageDataset
    from bbn_tf.data.small_sets import CIFAR_MEAN, CIFAR_STD

    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), long_tail.class_counts(5000 // shrink, 10, imbalance_factor))
    train, test = (rng.integers(0, 256, (n, 32, 32, 3), np.uint8) for n in (len(labels), 10_000 // shrink))
    names = tuple(str(label) for label in range(10))
    return ImageDataset(train, labels, test, np.arange(len(test)) % 10, names, CIFAR_MEAN, CIFAR_STD)
