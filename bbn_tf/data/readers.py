"""Readers for tf.data: they read, augment and standardise the images of a data set."""

import numpy as np
import tensorflow as tf

from bbn_tf.choices import imported
from bbn_tf.data import crops
from bbn_tf.data.augmentations import AUGMENTATIONS


def array_reader(images, mean, std, augment="none", horizontal_flip=False):
    """Makes a reader for images that are in memory.

    Args:
        images: uint8 [N, H, W, 3].
        mean, std: three floats each, one per channel; see `normalise`.
        augment: name in `AUGMENTATIONS` whose row has `arrays`.
        horizontal_flip: whether images may be mirrored: a mirrored image still belongs to its class.

    Returns:
        Function (indices int64 [B], key int64 [2] or None without augmentation) -> float32 [B, H, W, 3].
    """
    images = tf.constant(images)
    change = imported(AUGMENTATIONS[augment].arrays)

    def read(indices, key=None):
        return normalise(change(tf.gather(images, indices), key, horizontal_flip), mean, std)

    return read


def function_reader(positions, function, shape, mean, std, augment="none", horizontal_flip=False):
    """Makes a reader for images that a Python function returns, one at a time, when the image is drawn.

    Args:
        positions: int64 [N], what `function` is called with.
        function: position -> uint8 array of `shape`.
        shape: (H, W, 3).
        mean, std, augment, horizontal_flip: see `array_reader`; each image has its own draw.

    Returns:
        Function (index, key int64 [2] or None without augmentation) -> float32 [H, W, 3].
    """
    positions = tf.constant(positions)
    change = imported(AUGMENTATIONS[augment].arrays)

    def read(index, key=None):
        image = tf.numpy_function(function, [tf.gather(positions, index)], tf.uint8)
        images = tf.ensure_shape(image, shape)[None]  # [1, H, W, 3]
        return normalise(change(images, key, horizontal_flip)[0], mean, std)

    return read


def file_contents(paths):
    """Makes a function that reads a file: index (scalar int64) -> content (scalar string).

    Args:
        paths: bytes [N].
    """
    paths = tf.constant(paths)
    return lambda index: tf.io.read_file(tf.gather(paths, index))


def function_contents(positions, content):
    """Makes a function that calls Python code for a record: index (scalar int64) -> content (scalar string).

    Args:
        positions: int64 [N], position of each record.
        content: function position -> bytes.
    """
    positions = tf.constant(positions)
    return lambda index: tf.ensure_shape(tf.numpy_function(content, [tf.gather(positions, index)], tf.string), [])


def image_reader(contents, size, mean, std, augment="none", horizontal_flip=False):
    """Makes a reader for encoded images of any size; it reads one image at a time, when the image is drawn.

    Args:
        contents: function index (scalar int64) -> encoded image (scalar string).
        size: side of the crop in pixels.
        mean, std: three floats each, one per channel; see `normalise`.
        augment: name in `AUGMENTATIONS` whose row has `encoded`; all of them but "none" also mirror.
        horizontal_flip: whether images may be mirrored: a mirrored image still belongs to its class.

    Returns:
        Function (index, key int64 [2] or None without augmentation) -> float32 [size, size, 3].
    """
    crop = imported(AUGMENTATIONS[augment].encoded)

    def read(index, key=None):
        keys = (None, None) if key is None else tf.unstack(tf.random.split(key, 2))
        image = crops.decode(contents(index), crop, size, keys[0])
        if horizontal_flip and augment != "none":
            mirrored = tf.random.stateless_uniform([], keys[1]) < 0.5
            image = tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)  # 10 times as fast as [:, ::-1]
        return normalise(image, mean, std)

    return read


def normalise(images, mean, std):
    """Scales values from 0..255 to [0, 1] and standardises each channel.

    The constants cover a whole image row, because TensorFlow is three times slower if they hold only three numbers.

    Args:
        images: [..., W, 3].
        mean, std: three floats each, one per channel.

    Returns:
        float32 [..., W, 3].
    """
    mean, std = (np.tile(np.float32(channel), (images.shape[-2], 1)) for channel in (mean, std))  # [W, 3]
    return (tf.cast(images, tf.float32) / 255.0 - mean) / std
