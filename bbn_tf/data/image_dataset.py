"""A long-tailed data set: labels, and what images are read from, by index."""

import dataclasses

import numpy as np

from bbn_tf.choices import imported


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """A training part with a long tail and a part to evaluate on, whose images are in memory.

    Attributes:
        train_items, eval_items: what `reader` reads an image from, one for each image; here the images themselves,
            uint8 [N, H, W, 3].
        train_labels, eval_labels: int64 [N].
        class_names: C names, head to tail.
        mean, std: per channel, of images scaled to [0, 1].
        horizontal_flip: whether a mirrored image is still of its class.
        evaluated_on: what the part to evaluate on is, "test" or "validation".
        origin: `tfds_origin.Origin` of what TFDS has prepared in whichever version; None of other images.
    """

    train_items: np.ndarray
    train_labels: np.ndarray
    eval_items: np.ndarray
    eval_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    horizontal_flip: bool = True
    evaluated_on: str = "test"
    origin: object = None
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
        return self.train_items.shape[1:]

    def typical_side(self):
        """Shorter side of a typical training image, in pixels; here all have the same size."""
        return min(self.input_shape[:2])

    def part(self, name):
        """(items, labels) of a part, "train" or "eval"."""
        return {"train": (self.train_items, self.train_labels), "eval": (self.eval_items, self.eval_labels)}[name]

    def reader(self, part, augment="none"):
        """How tf.data reads images of a part: see `bbn_tf.data.readers.array_reader`."""
        read = imported("bbn_tf.data.readers:array_reader")
        return read(self.part(part)[0], self.mean, self.std, augment, self.horizontal_flip)

    def files(self):
        """bytes [N], the paths of all image files, to train and to evaluate on; here there are none."""
        return np.array([], np.bytes_)

    def eval_files(self):
        """bytes [N], the paths of the files to evaluate on, in their order; here there are none."""
        return np.array([], np.bytes_)

    def keep(self, indices):
        """The same data set with the training images of `indices` (int [M]) only."""
        return dataclasses.replace(self, train_items=self.train_items[indices], train_labels=self.train_labels[indices])

    def held_out(self, train, held_out):
        """The same data set with training images `held_out` (int [M]) to evaluate on, and `train` to train on."""
        items, labels = self.part("train")
        return dataclasses.replace(
            self.keep(train), eval_items=items[held_out], eval_labels=labels[held_out], evaluated_on="validation"
        )
