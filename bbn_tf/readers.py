"""How a data set's images become a batch inside tf.data: read, augmented, standardised."""

import tensorflow as tf

from bbn_tf.augment import AUGMENTATIONS


def array_reader(images, mean, std, augment="none", horizontal_flip=False):
    """Reads from an array in memory.

    Args:
        images: uint8 [N, H, W, 3].
        mean, std: see `normalise`.
        augment: name of `augment.AUGMENTATIONS`.
        horizontal_flip: whether a mirrored image is still of its class.

    Returns:
        Function (indices int64 [B], key int64 [2] or None without augmentation) -> float32 [B, H, W, 3].
    """
    images = tf.constant(images)

    def read(indices, key=None):
        return normalise(AUGMENTATIONS[augment](tf.gather(images, indices), key, horizontal_flip), mean, std)

    return read


def normalise(images, mean, std):
    """uint8 [..., 3] -> float32 [..., 3]: scaled to [0, 1], then standardised by channel."""
    return (tf.cast(images, tf.float32) / 255.0 - tf.constant(mean)) / tf.constant(std)
