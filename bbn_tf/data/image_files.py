"""Data sets whose images are read and decoded only when drawn: labels and places in memory, images on disk."""

import dataclasses
import typing

import numpy as np

from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD
from bbn_tf.data import decoding, file_sets, old_rule, orientation, readers, recorded
from bbn_tf.data.image_dataset import ImageDataset

SAMPLED = 100  # images whose size is looked at


@dataclasses.dataclass(frozen=True)
class FileDataset(ImageDataset):
    """A data set of image files, which are read and decoded only when drawn.

    Attributes:
        train_items, eval_items: their paths, bytes [N].
        image_size: side of the crop that the network sees.
        parts: dict part -> `image_parts.ImageFiles`, of all images, also those that are neither trained nor evaluated
            on; None of what is no file.
    """

    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    image_size: int = 224
    parts: dict | None = None
    one_by_one = True

    @property
    def input_shape(self):
        return (self.image_size, self.image_size, 3)

    def typical_side(self):
        """Median of the shorter side of at most 100 training images, spread evenly, in pixels."""
        items = self.train_items[:: -(-len(self.train_items) // SAMPLED)]
        content = self._contents(items)
        return int(np.median([decoding.stored_shape(content(i)).numpy().min() for i in range(len(items))]))

    def files(self):
        paths = np.concatenate([self.train_items, self.eval_items])
        return paths[paths != b""]  # an evaluation knows no paths of training images

    def eval_files(self):
        return self.eval_items

    def identities(self, started_from=None):
        """dict part -> list of (label, path below the class, size): what `record.write` takes.

        Args:
            started_from: `record.Record` of the run that this one starts from.
        """
        rows = {part: files.identities() for part, files in self.parts.items()}
        if started_from is not None:
            rows["earlier"] = recorded.earlier(started_from, self.class_names, rows["train"])
        return rows

    def reader(self, part, augment="none"):
        """How tf.data reads an image of `part`, "train" or "eval": see `readers.image_reader`."""
        content = self._contents(self.part(part)[0])
        return readers.image_reader(content, self.image_size, self.mean, self.std, augment, self.horizontal_flip)

    def _contents(self, paths):
        return readers.file_contents(paths)


def load(listed, image_size, split, *, old=False, **how):
    """`FileDataset` of a `file_sets.Listed`.

    Args:
        listed: `Listed`.
        image_size: side of the crop that the network sees.
        split: `file_sets.Split`.
        old: whether it is for a run without a record.
        **how: see `file_sets.load`.
    """
    parts, evaluated = (old_rule.load if old else file_sets.load)(listed, split, **how)
    train, held_out = parts["train"], parts[evaluated]
    if old:
        orientation.note_turned(held_out.paths)
    return FileDataset(
        train.paths,
        train.labels,
        held_out.paths,
        held_out.labels,
        listed.class_names,
        image_size=image_size,
        parts=parts,
        evaluated_on=evaluated,
    )


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

    def eval_files(self):
        return np.array([], np.bytes_)

    def _contents(self, paths):
        return readers.function_contents(paths, self.content)
