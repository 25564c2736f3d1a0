"""What is wrong with arguments, or with Keras's settings, in one line, before any work."""

from collections.abc import Callable, Collection
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bbn_tf.choices import is_seed, listed, similar
from bbn_tf.errors import UserError


def channels_last() -> None:
    """Raises UserError if Keras expects another image layout than the networks here; the program itself sets it."""
    if keras.config.image_data_format() != "channels_last":
        raise UserError('Keras: must be set with keras.config.set_image_data_format("channels_last")')


def is_training(mode: str) -> None:
    """Raises UserError if a mode other than `train` is asked for: only the command reads what it takes from a run."""
    if mode != "train":
        raise UserError(f"mode={mode!r}: must be 'train' from Python; for this one run bbn-tf --mode={mode}")


def one_of(argument: str, name: Any, names: Collection[str]) -> None:
    """Raises UserError if a name is not one of `names`."""
    if name not in list(names):
        raise UserError(f"{argument}={name!r}: must be one of {listed(names)}{similar(str(name), names)}")


def has(argument: str, value: Any, attribute: str, wanted: str) -> None:
    """Raises UserError if an object is not what it must be, by an attribute that it lacks."""
    if not hasattr(value, attribute):
        raise UserError(f"{argument}: must be {wanted}; received a {type(value).__name__}")


def seed(value: Any) -> None:
    """Raises UserError if a value can't be a seed."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or is_seed(value, {}):
        raise UserError(f"seed={value!r}: must be a whole number, at least 0 and below 2^32")


def batch_size(value: Any, num_images: int) -> None:
    """Raises UserError if there is no such batch."""
    if not isinstance(value, (int, np.integer)) or not 1 <= value <= num_images:
        raise UserError(f"batch_size={value!r}: must be from 1 to {num_images}, the number of images")


def labels(given: Any, num_images: int) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The labels, int64 [N], and the names of the classes: their numbers.

    Raises:
        UserError: they are not whole numbers from 0 to C - 1 of `num_images` images, every class with an image.
    """
    if given is None:
        raise UserError("labels: must be given, a whole number for each image")
    found = _array("labels", given)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise UserError(f"labels: must be [N] whole numbers from 0; received {_described(found)}")
    if len(found) != num_images:
        raise UserError(f"labels: must be as many as images, {num_images:,}; received {len(found):,}")
    if not num_images:
        raise UserError("images: must be at least one; received none")
    classes = np.unique(found)
    if classes[0] < 0:
        raise UserError(f"labels: must be whole numbers from 0; received {classes[0]}")
    missing = np.flatnonzero(classes != np.arange(len(classes)))
    if len(missing):
        raise UserError(f"labels: class {missing[0]} has no image; must be from 0 to C - 1, every class with an image")
    return found.astype(np.int64), tuple(str(number) for number in range(len(classes)))


def image_array(given: Any) -> npt.NDArray[np.uint8]:
    """The images, uint8 [N, H, W, 3].

    Raises:
        UserError: they are no such array.
    """
    images = _array("images", given)
    if images.ndim == 1 and len(images):
        raise UserError("images: must be [N, H, W, 3], or have read=, a function that reads one image")
    if images.ndim != 4 or images.shape[-1] != 3:
        raise UserError(f"images: must be uint8 [N, H, W, 3]; received {_described(images)}")
    if images.dtype != np.uint8:
        raise UserError(f"images: must be uint8, from 0 to 255; received {_described(images)}")
    return images


def read_image(read: Callable[[Any], Any], item: Any, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.uint8]:
    """What `read` returns for an element of `images`, uint8 of `shape`, by default any [H, W, 3].

    Raises:
        UserError: it returns something else.
    """
    if not callable(read):
        raise UserError(f"read={read!r}: must be a function that reads one image")
    image = _array("read", read(item))
    received = f"received {_described(image)} for {' '.join(repr(item).split())[:100]}"
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise UserError(f"read: must return uint8 [H, W, 3]; {received}")
    if shape is not None and image.shape != shape:
        raise UserError(f"read: must return the first one's shape, {list(shape)}; {received}")
    return image


def is_batched(dataset: tf.data.Dataset, labels: Any, read: Any) -> bool:
    """Whether a dataset's elements are batches of (image, label).

    Raises:
        UserError: they are neither batches nor single images with labels, or there is no end of them.
    """
    for argument, value in {"labels": labels, "read": read}.items():
        if value is not None:
            raise UserError(f"{argument}: has no meaning with a tf.data dataset, whose elements are (image, label)")
    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) and all(isinstance(part, tf.TensorSpec) for part in spec) else ()
    ranks = [part.shape.rank for part in parts]
    if ranks not in ([3, 0], [4, 1]) or parts[0].dtype != tf.uint8:
        raise UserError(f"images: a tf.data dataset must have elements (uint8 [H, W, 3], label); received {spec}")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise UserError("images: the tf.data dataset has no end; leave out its repeat()")
    return ranks == [4, 1]


def not_one_array(argument: str, error: Exception) -> UserError:
    """What to raise for elements that differ in shape."""
    return UserError(f"{argument}: must all have one shape ({' '.join(str(error).split())[:200]})")


def _array(argument: str, given: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(given)
    except ValueError as error:  # lists of several lengths
        raise not_one_array(argument, error) from error


def _described(array: npt.NDArray[Any]) -> str:
    return f"{array.dtype} {list(array.shape)}"
