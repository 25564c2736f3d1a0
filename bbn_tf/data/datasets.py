"""Named long-tailed data sets: labels and small images in memory, by index."""

import dataclasses
import importlib
import pathlib
import urllib.error
import urllib.request

import numpy as np

from bbn_tf.data import long_tail
from bbn_tf.errors import UserError

CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # the published code's, for both


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """A training part with a long tail and a part to evaluate on.

    Attributes:
        train_images, eval_images: uint8 [N, H, W, 3].
        train_labels, eval_labels: int64 [N].
        class_names: C names, head to tail.
        mean, std: per channel, of images scaled to [0, 1].
        horizontal_flip: whether a mirrored image is still of its class.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    eval_images: np.ndarray
    eval_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    horizontal_flip: bool = True
    one_by_one = False  # whether `reader` takes one index at a time

    @property
    def num_classes(self):
        return len(self.class_names)

    @property
    def class_counts(self):
        """int64 [C], training images of each class."""
        return np.bincount(self.train_labels, minlength=self.num_classes)

    @property
    def input_shape(self):
        return self.train_images.shape[1:]

    def reader(self, part, augment="none"):
        """How tf.data reads images of `part`, "train" or "eval": see `readers.array_reader`."""
        from bbn_tf.data import readers

        images = {"train": self.train_images, "eval": self.eval_images}[part]
        return readers.array_reader(images, self.mean, self.std, augment, self.horizontal_flip)

    def files(self):
        """bytes [N], the paths of all image files, to train and to evaluate on; here there are none."""
        return np.array([], np.bytes_)

    def keep(self, indices):
        """The same data set with the training images of `indices` (int [M]) only."""
        return dataclasses.replace(
            self, train_images=self.train_images[indices], train_labels=self.train_labels[indices]
        )


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


def _load_of(module, **settings):
    """The function `load` of a module that is imported only when it is called, with some arguments fixed."""

    def load(data_dir, **others):
        return importlib.import_module(f"bbn_tf.data.{module}").load(data_dir, **settings, **others)

    return load


DATASETS = {
    "digits_lt": digits,
    "cifar10_lt": cifar10,
    "cifar100_lt": cifar100,
    "folder": _load_of("image_folders"),
    "inaturalist2017": _load_of("inaturalist", year=2017),
    "inaturalist2018": _load_of("inaturalist", year=2018),
    "i_naturalist2017": _load_of("tfds_records", tfds_name="i_naturalist2017", tfds_splits=("train", "validation")),
    "i_naturalist2018": _load_of("tfds_records", tfds_name="i_naturalist2018", tfds_splits=("train", "validation")),
}
OF_FILES = ("folder", "inaturalist2017", "inaturalist2018")  # image files of any size, long-tailed as they come
OF_RECORDS = ("i_naturalist2017", "i_naturalist2018")  # the same in TFDS's files


def load(name, *, data_dir=None, imbalance_factor=None, imbalance_profile="exp", imbalance_seed=0,
         validation_fraction=0.0, seed=0, **settings):  # fmt: skip
    """A long-tailed data set.

    Args:
        name: of `DATASETS`.
        data_dir: TFDS's folder, None for its default; or the images' folder.
        imbalance_factor, imbalance_profile: see `long_tail.class_counts`; None for the data as they are.
        imbalance_seed: which images are kept.
        validation_fraction: in [0, 1); if positive, that part of the long-tailed training images, class by
            class, takes the test set's place and is not trained on.
        seed: which images are held out.
        **settings: what only this data set has.

    Returns:
        `ImageDataset`.

    Raises:
        UserError: data not available, or a class would be empty.
    """
    tail = DATASETS[name](data_dir, **settings)
    if imbalance_factor is not None:
        counts = long_tail.class_counts(tail.class_counts.max(), tail.num_classes, imbalance_factor, imbalance_profile)
        tail = tail.keep(long_tail.subset_indices(tail.train_labels, counts, imbalance_seed))
    if not validation_fraction:
        return tail
    train, held_out = long_tail.stratified_split(tail.train_labels, validation_fraction, seed)
    return dataclasses.replace(
        tail.keep(train), eval_images=tail.train_images[held_out], eval_labels=tail.train_labels[held_out]
    )
