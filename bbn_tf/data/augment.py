"""Augmentation of a batch of uint8 images, drawn per image from one key.

Plain TensorFlow operations with stateless draws, for none of the libraries at hand gives those inside tf.data:
`keras.layers.RandAugment` draws its operations once a batch, not per image, from a SeedGenerator, a counter that
is no function of the step and so is lost where a run resumes; Keras has no AutoAugment.  keras-cv draws from
stateful generators as well and is no longer developed, keras-hub has no augmentation; imgaug, albumentations and
torchvision work on NumPy arrays or PyTorch tensors, in tf.data that is a `tf.py_function` under Python's lock.

No operation mirrors.  The policies were found on natural images: digits are still turned by up to 30 degrees and
inverted, as CIFAR's images are.
"""

import tensorflow as tf

from bbn_tf.data.image_operations import OPERATIONS, transform

PAD = 4  # pixels around the image before a crop of its size is taken
CUTOUT = 16  # side of the square, in pixels
LEVELS = 10  # magnitudes of AutoAugment go from 0 to LEVELS - 1, those of RandAugment from 0 to LEVELS
RANDAUGMENT_N, RANDAUGMENT_M = 2, 9


def none(images, key, horizontal_flip):
    """The images as they are."""
    del key, horizontal_flip
    return images


def crop_and_flip(images, key, horizontal_flip):
    """A random crop of the image padded by 4 black pixels, mirrored half of the time; drawn per image.

    Args:
        images: [B, H, W, 3], before normalisation, so that the border is black.
        key: int [2].
        horizontal_flip: whether to mirror at all.

    Returns:
        [B, H, W, 3] of the same dtype.
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
    """`crop_and_flip`, then `autoaugment`, then `cutout`: the order of published long-tail code.

    Args and returns: as of `crop_and_flip`, images uint8.
    """
    keys = tf.random.split(key, 3)
    images = crop_and_flip(images, keys[0], horizontal_flip)
    return cutout(autoaugment(images, keys[1]), keys[2])


def randaugment(images, key, horizontal_flip):
    """`crop_and_flip`, then two operations of `RANDAUGMENT` at magnitude 9 (arXiv:1909.13719, N = 2, M = 9).

    M counts to 10, "the maximum scale for a given transformation" (section 3), and the ranges are
    AutoAugment's.  Differences: no Cutout, which the paper adds on CIFAR; Color and the other enhancements take
    their sign at random, as in `autoaugment`.

    Args and returns: as of `autoaugment_cutout`.
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
    """One of the 25 sub-policies found on CIFAR-10 (arXiv:1805.09501, appendix, table 7) for each image.

    Magnitudes 0 to 9 divide the ranges of the paper's table 6 evenly, and the enhancements' sign is drawn, as in
    torchvision and in the long-tail literature's code.  Difference: what a move leaves empty is grey 128, as
    in that code, where the authors' has the mean colour.

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
    """A 16x16 square of zeros at a centre anywhere in the image, so it may reach over the border (arXiv:1708.04552).

    Difference: zeros before normalisation (black), as in long-tail code; the authors' are zeros after it (mean).

    Args and returns: as of `autoaugment`.
    """
    batch, height, width = images.shape[0], images.shape[1], images.shape[2]
    keys = tf.random.split(key, 2)
    rows, columns = _interval(batch, height, keys[0]), _interval(batch, width, keys[1])
    hidden = rows[:, :, None, None] & columns[:, None, :, None]  # [B, H, W, 1]
    return tf.where(hidden, tf.zeros_like(images), images)


RANDAUGMENT = [name for name in OPERATIONS if name != "Invert"]  # the paper's 14

CIFAR10_POLICY = (  # 25 times two of (operation, probability, magnitude); 0 where the magnitude has no meaning
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
    """int32: the operations' places in `OPERATIONS`."""
    places = list(OPERATIONS)
    return tf.constant([places.index(name) for name in names])


def _signs(shape, key):
    return tf.where(tf.random.stateless_uniform(shape, key) < 0.5, -1.0, 1.0)


def _interval(batch, side, key):
    """bool [B, side]: `CUTOUT` neighbours around a place drawn from all, as far as they lie inside."""
    first = tf.random.stateless_uniform([batch, 1], key, 0, side, tf.int32) - CUTOUT // 2
    places = tf.range(side)
    return (places >= first) & (places < first + CUTOUT)
