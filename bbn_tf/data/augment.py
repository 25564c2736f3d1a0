"""Augmentation of a batch of uint8 images: one key gives each image its own random draw.

The functions use plain TensorFlow operations with stateless draws, because no available library offers them inside
tf.data.  `keras.layers.RandAugment` draws its operations once per batch, not per image, and from a SeedGenerator: its
counter does not depend on the step, so a resumed run would draw other numbers.  Keras has no AutoAugment.  keras-cv
also draws from stateful generators and is no longer developed; keras-hub has no augmentation.  imgaug, albumentations
and torchvision work on NumPy arrays or PyTorch tensors: in tf.data they need a `tf.py_function`, which holds Python's
lock.

No operation mirrors the image.  The policies were found on natural images, but digits are also rotated by up to 30
degrees and inverted, like CIFAR's images.
"""

import tensorflow as tf

from bbn_tf.data.image_operations import OPERATIONS, transform

PAD = 4  # pixels added on each side before the crop
CUTOUT = 16  # side of the square, in pixels
LEVELS = 10  # AutoAugment's magnitudes go from 0 to LEVELS - 1, RandAugment's from 0 to LEVELS
RANDAUGMENT_N, RANDAUGMENT_M = 2, 9


def none(images, key, horizontal_flip):
    """Returns the images unchanged."""
    del key, horizontal_flip
    return images


def crop_and_flip(images, key, horizontal_flip):
    """Pads each image by 4 black pixels, takes a random crop, and mirrors it with probability 0.5.

    Args:
        images: [B, H, W, 3], any dtype, before normalisation, so that the border is black.
        key: int [2].
        horizontal_flip: whether images may be mirrored.

    Returns:
        [B, H, W, 3] with the dtype of the input.
    """
    batch, height, width = images.shape[0], images.shape[1], images.shape[2]
    keys = tf.random.split(key, 2)
    offset = tf.random.stateless_uniform([batch, 2], keys[0], 0, 2 * PAD + 1, tf.int32)
    columns = tf.tile(tf.range(width)[None], [batch, 1])  # [B, W]
    if horizontal_flip:
        mirrored = tf.random.stateless_uniform([batch, 1], keys[1]) < 0.5
        columns = tf.where(mirrored, width - 1 - columns, columns)
    rows = tf.range(height)[None] + offset[:, :1]  # [B, H]
    padded = tf.pad(images, [[0, 0], [PAD, PAD], [PAD, PAD], [0, 0]])
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(cropped, columns + offset[:, 1:], axis=2, batch_dims=1)


def autoaugment_cutout(images, key, horizontal_flip):
    """Applies `crop_and_flip`, then `autoaugment`, then `cutout`, in the order of published long-tail code.

    Args:
        images: uint8 [B, H, W, 3].
        key: int [2].
        horizontal_flip: whether images may be mirrored.

    Returns:
        uint8 [B, H, W, 3].
    """
    keys = tf.random.split(key, 3)
    images = crop_and_flip(images, keys[0], horizontal_flip)
    return cutout(autoaugment(images, keys[1]), keys[2])


def randaugment(images, key, horizontal_flip):
    """Applies `crop_and_flip`, then two random operations of `RANDAUGMENT` at magnitude 9.

    arXiv:1909.13719 with N = 2, M = 9.  The largest M is 10, "the maximum scale for a given transformation" (section
    3), and the ranges are AutoAugment's.  Differences: the paper adds Cutout on CIFAR, this function does not; the sign
    of Color and the other enhancements is random, as in `autoaugment`.

    Args:
        images: uint8 [B, H, W, 3].
        key: int [2].
        horizontal_flip: whether images may be mirrored.

    Returns:
        uint8 [B, H, W, 3].
    """
    batch = images.shape[0]
    keys = tf.random.split(key, 3)
    images = crop_and_flip(images, keys[0], horizontal_flip)
    drawn = tf.random.stateless_uniform([batch, RANDAUGMENT_N], keys[1], 0, len(RANDAUGMENT), tf.int32)
    operation = tf.gather(_numbers(RANDAUGMENT), drawn)  # [B, N]
    sign = _signs([batch, RANDAUGMENT_N], keys[2])
    for place in range(RANDAUGMENT_N):
        fraction = tf.fill([batch], RANDAUGMENT_M / LEVELS)
        images = transform(images, operation[:, place], fraction, sign[:, place])
    return images


def autoaugment(images, key):
    """Applies to each image one of the 25 sub-policies found on CIFAR-10 (arXiv:1805.09501, appendix, table 7).

    Magnitudes 0 to 9 divide the ranges of the paper's table 6 evenly, and the sign of an enhancement is random, as in
    torchvision and in published long-tail code.  Difference: empty pixels are grey (128), as in that code; the
    authors' code fills them with the mean colour.

    Args:
        images: uint8 [B, H, W, 3].
        key: int [2].

    Returns:
        uint8 [B, H, W, 3].
    """
    batch = images.shape[0]
    keys = tf.random.split(key, 3)
    chosen = tf.random.stateless_uniform([batch], keys[0], 0, len(CIFAR10_POLICY), tf.int32)
    chance = tf.random.stateless_uniform([batch, 2], keys[1])
    sign = _signs([batch, 2], keys[2])
    for place in range(2):
        names, probs, levels = zip(*(policy[place] for policy in CIFAR10_POLICY), strict=True)
        applied = chance[:, place] < tf.gather(tf.constant(probs), chosen)
        operation = tf.where(applied, tf.gather(_numbers(names), chosen), _numbers(["Identity"])[0])
        fraction = tf.gather(tf.constant(levels, tf.float32), chosen) / (LEVELS - 1)
        images = transform(images, operation, fraction, sign[:, place])
    return images


def cutout(images, key):
    """Sets a 16x16 square to zero (arXiv:1708.04552); its centre is any pixel, so it may cross the border.

    Difference: the square is zero before normalisation (black), as in published long-tail code; in the authors' code
    it is zero after normalisation (the mean colour).

    Args:
        images: uint8 [B, H, W, 3].
        key: int [2].

    Returns:
        uint8 [B, H, W, 3].
    """
    batch, height, width = images.shape[0], images.shape[1], images.shape[2]
    keys = tf.random.split(key, 2)
    rows, columns = _interval(batch, height, keys[0]), _interval(batch, width, keys[1])
    hidden = rows[:, :, None, None] & columns[:, None, :, None]  # [B, H, W, 1]
    return tf.where(hidden, tf.zeros_like(images), images)


RANDAUGMENT = [name for name in OPERATIONS if name != "Invert"]  # the paper's 14

CIFAR10_POLICY = (  # 25 pairs of (operation, probability, magnitude); magnitude 0 where it has no meaning
    (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
    (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
)


def _numbers(names):
    """Positions of the named operations in `OPERATIONS`, int32 tensor."""
    places = list(OPERATIONS)
    return tf.constant([places.index(name) for name in names])


def _signs(shape, key):
    return tf.where(tf.random.stateless_uniform(shape, key) < 0.5, -1.0, 1.0)


def _interval(batch, side, key):
    """bool [B, side]: True for the `CUTOUT` pixels around a random centre that lie inside the image."""
    first = tf.random.stateless_uniform([batch, 1], key, 0, side, tf.int32) - CUTOUT // 2
    places = tf.range(side)
    return (places >= first) & (places < first + CUTOUT)
