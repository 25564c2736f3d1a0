"""Data sets whose images are read and decoded only when drawn: labels and places in memory, images on disk."""

import dataclasses
import typing

import numpy as np

from bbn_tf.data import readers
from bbn_tf.data.image_dataset import ImageDataset

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # the published code's, of photographs


@dataclasses.dataclass(frozen=True)
class FileDataset(ImageDataset):
    """A data set of image files, which are read and decoded only when drawn.

    Attributes:
        train_items, eval_items: their paths, bytes [N].
        image_size: side of the crop that the network sees.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    image_size: int = 224
    one_by_one = True

    @property
    def input_shape(self):
        return (self.image_size, self.image_size, 3)

    def files(self):
        return np.concatenate([self.train_items, self.eval_items])

    def reader(self, part, augment="none"):
        """How tf.data reads an image of `part`, "train" or "eval": see `readers.image_reader`."""
        content = self._contents(self.part(part)[0])
        return readers.image_reader(content, self.image_size, self.mean, self.std, augment, self.horizontal_flip)

    def _contents(self, paths):
        return readers.file_contents(paths)


@dataclasses.dataclass(frozen=True)
class RecordDataset(FileDataset):
    """A data set of encoded images that a Python function returns.

    Attributes:
        train_items, eval_items: their positions, int64 [N].
        content: position -> bytes.
    """

    content: typing.Callable[[int], bytes] = None

    def files(self):
        return np.array([], np.bytes_)

    def _contents(self, paths):
        return readers.function_contents(paths, self.content)
