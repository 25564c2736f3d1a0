"""How a data set's images become a batch inside tf.data: read, augmented, standardised."""

import numpy as np
import tensorflow as tf

from bbn_tf.choices import imported
from bbn_tf.data import crops
from bbn_tf.data.augmentations import AUGMENTATIONS


def array_reader(images, mean, std, augment="none", horizontal_flip=False):
    """Reads from an array in memory.

    Args:
        images: uint8 [N, H, W, 3].
        mean, std: see `normalise`.
        augment: name of `AUGMENTATIONS` that has `arrays`.
        horizontal_flip: whether a mirrored image is still of its class.

    Returns:
        Function (indices int64 [B], key int64 [2] or None without augmentation) -> float32 [B, H, W, 3].
    """
    images = tf.constant(images)
    change = imported(AUGMENTATIONS[augment].arrays)

    def read(indices, key=None):
        return normalise(change(tf.gather(images, indices), key, horizontal_flip), mean, std)

    return read


def file_contents(paths):
    """Function (index, scalar int64) -> scalar string, the content of the file; paths: bytes [N]."""
    paths = tf.constant(paths)
    return lambda index: tf.io.read_file(tf.gather(paths, index))


def function_contents(positions, content):
    """The same of what `content` (position -> bytes) returns; positions: int64 [N]."""
    positions = tf.constant(positions)
    return lambda index: tf.ensure_shape(tf.numpy_function(content, [tf.gather(positions, index)], tf.string), [])


def image_reader(contents, size, mean, std, augment="none", horizontal_flip=False):
    """Reads encoded images of any sizes, when they are drawn and one at a time.

    Args:
        contents: function (index, scalar int64) -> scalar string.
        size: side of the crop.
        mean, std, horizontal_flip: as above.
        augment: name of `AUGMENTATIONS` that has `encoded`; all but "none" also mirror.

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
    """Values 0..255 [..., W, 3] -> float32 of the same shape: scaled to [0, 1], then standardised by channel.

    The constants are as wide as a row: TensorFlow is three times as slow with rows of only three numbers.
    """
    mean, std = (np.tile(np.float32(channel), (images.shape[-2], 1)) for channel in (mean, std))  # [W, 3]
    return (tf.cast(images, tf.float32) / 255.0 - mean) / std
