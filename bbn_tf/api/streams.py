"""BBN's two streams of your own images: one uniform, one resampled, augmented and standardised."""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bbn_tf.api import checks
from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD
from bbn_tf.data import input_pipeline
from bbn_tf.data.augmentations import AUGMENTATIONS
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.data.read_images import ReadDataset
from bbn_tf.data.samplers import SAMPLERS
from bbn_tf.errors import UserError
from bbn_tf.models.backbones import BACKBONES

ENDLESS = 2**31  # epochs


@dataclasses.dataclass(frozen=True)
class Streams:
    """What `streams` makes of images and labels.

    Attributes:
        images: `ImageDataset` without a part to evaluate on.
        backbone: name of the network that the images are standardised for.
        batch_size: images a step in each stream.
        sampler, augment, seed: see `streams`.
    """

    images: ImageDataset
    backbone: str
    batch_size: int
    sampler: str
    augment: str
    seed: int

    @property
    def dataset(self) -> tf.data.Dataset:
        """Batches without an end, for `fit` with `steps_per_epoch`."""
        return self.batches()

    def batches(self, initial_epoch: int = 0, epochs: int = ENDLESS) -> tf.data.Dataset:
        """The batches from one epoch (from 0) to before another, to resume a training.

        Returns:
            Dataset of ((x_c, x_r), (y_c, y_r)), x float32 [B, H, W, 3], y int64 [B], in the same order for the same
            seed.
        """
        return input_pipeline.training_batches(
            self.images,
            self.batch_size,
            sampler=self.sampler,
            paired=True,
            augment=self.augment,
            seed=self.seed,
            initial_epoch=initial_epoch,
            epochs=epochs,
        )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the uniform stream in an epoch, which sees every image at most once."""
        return len(self.images.train_labels) // self.batch_size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return tuple(self.images.input_shape)

    @property
    def num_classes(self) -> int:
        return self.images.num_classes

    @property
    def class_counts(self) -> npt.NDArray[np.int64]:
        """int64 [C], images of each class."""
        return self.images.class_counts

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, of images scaled to [0, 1]: what is subtracted."""
        return self.images.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, of images scaled to [0, 1]: what is divided by."""
        return self.images.std


def streams(
    images: Any,
    labels: npt.ArrayLike | None = None,
    *,
    backbone: str,
    batch_size: int,
    read: Callable[[Any], npt.ArrayLike] | None = None,
    augment: str = "basic",
    horizontal_flip: bool = True,
    sampler: str = "reversed",
    seed: int = 0,
) -> Streams:
    """Pairs a uniform stream of images, each once an epoch, with one in which rare classes are drawn more often.

    Args:
        images: uint8 [N, H, W, 3]; or, with `read`, N paths, indices or whatever it takes; or a tf.data dataset of
            (image uint8 [H, W, 3], label), also in batches, which is read into memory.
        labels: whole numbers [N] from 0 to C - 1, every class with an image; None for a tf.data dataset.
        backbone: name of a network in the table, or of one that `register_backbone` has added; images are standardised
            as it wants them.
        batch_size: images a step in each stream.
        read: function that reads one image, (element of `images`) -> uint8 [H, W, 3], all of one shape. It is called
            for images that are drawn, never for rejected ones, by several threads; and once at first, for the shape.
        augment: "basic" (crop and flip), "none", "autoaugment_cutout" or "randaugment".
        horizontal_flip: whether a mirrored image is still of its class.
        sampler: of the second stream: "reversed", "balanced" or "uniform".
        seed: of all draws.

    Returns:
        `Streams`.

    Raises:
        UserError: an argument is wrong; the message names it.
    """
    checks.one_of("backbone", backbone, BACKBONES)
    checks.one_of("augment", augment, AUGMENTATIONS.having("arrays"))
    checks.one_of("sampler", sampler, SAMPLERS)
    checks.seed(seed)
    _leave_gpus_to_keras()
    row = BACKBONES[backbone]
    options = {"mean": row.mean or IMAGENET_MEAN, "std": row.std or IMAGENET_STD, "horizontal_flip": horizontal_flip}
    if isinstance(images, tf.data.Dataset):
        images, labels = _in_memory(images, labels, read)
    dataset = _of_arrays(images, labels, options) if read is None else _of_function(images, labels, read, options)
    checks.batch_size(batch_size, len(dataset.train_labels))
    return Streams(dataset, backbone, batch_size, sampler, augment, seed)


def _of_arrays(images: Any, labels: Any, options: dict[str, Any]) -> ImageDataset:
    images = checks.image_array(images)
    labels, names = checks.labels(labels, len(images))
    return ImageDataset(images, labels, images[:0], labels[:0], names, **options)


def _of_function(items: Sequence[Any], labels: Any, read: Callable[[Any], Any], options: dict[str, Any]) -> ReadDataset:
    items = list(items)
    labels, names = checks.labels(labels, len(items))
    shape = checks.read_image(read, items[0]).shape

    def read_image(position: int) -> npt.NDArray[np.uint8]:
        return checks.read_image(read, items[position], shape)

    positions = np.arange(len(items))
    return ReadDataset(positions, labels, positions[:0], labels[:0], names, **options, read=read_image, shape=shape)


def _in_memory(dataset: tf.data.Dataset, labels: Any, read: Any) -> tuple[Any, Any]:
    """(images, labels) of a tf.data dataset as arrays; says how much memory they take."""
    batched = checks.is_batched(dataset, labels, read)
    try:
        batches = list((dataset if batched else dataset.batch(1024)).as_numpy_iterator())
        if not batches:
            raise UserError("images: must be at least one; the tf.data dataset has none")
        images, found = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        raise checks.not_one_array("images", error) from error
    size = " x ".join(map(str, images.shape[1:3]))
    print(f"note: {len(images):,} images of {size} pixels read into memory: {images.nbytes / 1e6:,.1f} MB")
    return images, found


def _leave_gpus_to_keras() -> None:
    """On another backend TensorFlow only feeds the data, and would take all of a GPU's memory for it."""
    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # it has started already
            tf.config.set_visible_devices([], "GPU")
