"""A data set whose images a Python function reads, one at a time, when they are drawn."""

import dataclasses
from collections.abc import Callable

import numpy as np

from bbn_tf.choices import imported
from bbn_tf.data.image_dataset import ImageDataset


@dataclasses.dataclass(frozen=True)
class ReadDataset(ImageDataset):
    """A data set whose images are neither in memory nor files that are decoded here.

    Attributes:
        train_items, eval_items: positions that `read` is called with, int64 [N].
        read: position (int) -> uint8 [H, W, 3]; several threads call it.
        shape: (H, W, 3).
    """

    read: Callable[[int], np.ndarray] | None = None
    shape: tuple[int, ...] = ()
    one_by_one = True

    @property
    def input_shape(self):
        return self.shape

    def reader(self, part, augment="none"):
        """How tf.data reads an image of `part`, "train" or "eval": see `readers.function_reader`."""
        reader = imported("bbn_tf.data.readers:function_reader")
        positions = self.part(part)[0]
        return reader(positions, self.read, self.shape, self.mean, self.std, augment, self.horizontal_flip)
