"""PIL's image operations for a batch of uint8 images; each image has its own amount.  `OPERATIONS` lists them.

The augmentation policies were found with PIL, so the code follows its integer arithmetic and its clipping;
tests/data/test_image_operations.py compares both.
"""

import math

import tensorflow as tf

EMPTY = 128  # empty pixels after a move are grey, as in published long-tail code; torchvision makes them black


def transform(images, operation, fraction, sign):
    """Applies to each image its own operation.

    The batch is split by operation and put together again: every image is computed once, and each operation runs once
    over all of its images.  On two cores this takes at most a third of the time that one call per image takes
    (`tf.map_fn` with `tf.switch_case`), and a twentieth of the time that it takes to run every operation over the whole
    batch and select the results.

    Args:
        images: uint8 [B, H, W, 3].
        operation: int32 [B], position in `OPERATIONS`.
        fraction: float32 [B], in [0, 1], fraction of the operation's range.
        sign: float32 [B], 1 or -1; only two-sided operations use it.

    Returns:
        uint8 [B, H, W, 3].
    """
    neutral, span, two_sided = (tf.constant(column) for column in list(zip(*OPERATIONS.values(), strict=True))[1:])
    signed = tf.where(tf.gather(two_sided, operation), sign, 1.0)
    amount = tf.gather(neutral, operation) + tf.gather(span, operation) * fraction * signed
    parts = [tf.dynamic_partition(x, operation, len(OPERATIONS)) for x in (tf.range(len(operation)), images, amount)]
    results = [function(x, a) for (function, *_), x, a in zip(OPERATIONS.values(), *parts[1:], strict=True)]
    return tf.ensure_shape(tf.dynamic_stitch(parts[0], results), images.shape)


# Every operation maps images uint8 [n, H, W, 3] and amounts float32 [n] to images uint8 [n, H, W, 3].


def shear_x(images, slope):
    """Moves row y by slope * y pixels; the upper left corner stays."""
    return _affine(images, 1.0, slope, 0.0, 0.0, 1.0, 0.0)


def shear_y(images, slope):
    """Moves column x by slope * x pixels; the upper left corner stays."""
    return _affine(images, 1.0, 0.0, 0.0, slope, 1.0, 0.0)


def translate_x(images, part):
    """Moves the image horizontally; `part` is a fraction of the width."""
    return _affine(images, 1.0, 0.0, part * images.shape[2], 0.0, 1.0, 0.0)


def translate_y(images, part):
    """Moves the image vertically; `part` is a fraction of the height."""
    return _affine(images, 1.0, 0.0, 0.0, 0.0, 1.0, part * images.shape[1])


def rotate(images, degrees):
    """Rotates the image counter-clockwise around its centre."""
    cos, sin = tf.cos(degrees * (math.pi / 180)), tf.sin(degrees * (math.pi / 180))
    x, y = images.shape[2] / 2, images.shape[1] / 2
    return _affine(images, cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)


def color(images, factor):
    """Changes the saturation: factor 0 gives grey, 1 the image, 2 twice the distance from grey."""
    return _blend(images, _grey(images), factor)


def contrast(images, factor):
    """Changes the distance from the mean grey value, which PIL rounds to an integer."""
    mean = tf.reduce_mean(tf.cast(_grey(images), tf.float32), axis=[1, 2, 3], keepdims=True)
    return _blend(images, tf.floor(mean + 0.5), factor)


def brightness(images, factor):
    """Changes the distance from black."""
    return _blend(images, 0.0, factor)


def sharpness(images, factor):
    """Changes the distance from a smoothed image: a 3x3 filter of ones with 5 in the centre; border pixels stay."""
    x = tf.cast(images, tf.int32)
    rows = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    total = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4 * x[:, 1:-1, 1:-1]
    change = (2 * total + 13) // 26 - x[:, 1:-1, 1:-1]  # total / 13, rounded, minus the pixel
    return _blend(images, x + tf.pad(change, [[0, 0], [1, 1], [1, 1], [0, 0]]), factor)


def posterize(images, bits):
    """Keeps the upper bits of each value; `bits` is rounded to an integer."""
    low = tf.bitwise.left_shift(1, 8 - tf.cast(tf.round(bits), tf.int32))
    x = tf.cast(images, tf.int32)
    return tf.cast(x - x % low[:, None, None, None], tf.uint8)


def solarize(images, threshold):
    """Inverts the values that are at least the threshold."""
    below = tf.cast(images, tf.float32) < threshold[:, None, None, None]
    return tf.where(below, images, 255 - images)


def invert(images, amount):
    """Replaces each value v by 255 - v."""
    del amount
    return 255 - images


def autocontrast(images, amount):
    """Stretches each channel to 0..255."""
    del amount
    x = tf.cast(images, tf.int32)
    low, high = (f(x, axis=[1, 2], keepdims=True) for f in (tf.reduce_min, tf.reduce_max))  # [n, 1, 1, 3]
    return tf.cast(tf.where(high > low, (x - low) * 255 // tf.maximum(high - low, 1), x), tf.uint8)


def equalize(images, amount):
    """Flattens each channel's histogram with PIL's integer arithmetic."""
    del amount
    height, width = images.shape[1], images.shape[2]
    channels = tf.stack(tf.unstack(tf.cast(images, tf.int32), axis=-1), axis=1)  # oneDNN complains of tf.transpose
    x = tf.reshape(channels, [-1, height * width])  # [n * 3, H * W]
    histogram = tf.math.bincount(x, minlength=256, maxlength=256, axis=-1)  # [n * 3, 256]
    brightest = tf.gather(histogram, tf.reduce_max(x, axis=1), batch_dims=1)
    step = (height * width - brightest[:, None]) // 255
    table = (tf.cumsum(histogram, axis=1, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
    equal = tf.cast(tf.gather(table, x, batch_dims=1), tf.uint8)
    return tf.stack(tf.unstack(tf.reshape(equal, [-1, 3, height, width]), axis=1), axis=-1)


def _affine(images, a, b, c, d, e, f):
    """Takes pixel (x, y) from (a x + b y + c, d x + e y + f): the nearest pixel, or grey outside the image.

    Pixel i covers i to i + 1, as in PIL; for `ImageProjectiveTransformV3` its centre is at i.
    """
    columns = (a, b, c + (a + b - 1) / 2, d, e, f + (d + e - 1) / 2, 0.0, 0.0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([tf.broadcast_to(column, tf.shape(images)[:1]) for column in columns], axis=1),
        output_shape=images.shape[1:3],
        fill_value=EMPTY,
        interpolation="NEAREST",
        fill_mode="CONSTANT",
    )


def _blend(images, other, factor):
    """Returns `other` at factor 0, the images at 1, and extrapolates above 1; truncates like PIL, without rounding."""
    other = tf.cast(other, tf.float32)
    blended = other + factor[:, None, None, None] * (tf.cast(images, tf.float32) - other)
    return tf.cast(tf.clip_by_value(blended, 0.0, 255.0), tf.uint8)


def _grey(images):
    """int32 [n, H, W, 1]: ITU-R 601 luma in PIL's fixed point."""
    weighted = tf.cast(images, tf.int32) * tf.constant([19595, 38470, 7471])
    return tf.bitwise.right_shift(tf.reduce_sum(weighted, axis=-1, keepdims=True) + 32768, 16)


OPERATIONS = {  # name: (function, amount at fraction 0, increase at fraction 1, whether it may also decrease)
    "Identity": (lambda images, amount: images, 0.0, 0.0, False),
    "ShearX": (shear_x, 0.0, 0.3, True),
    "ShearY": (shear_y, 0.0, 0.3, True),
    "TranslateX": (translate_x, 0.0, 150 / 331, True),  # the paper moves ImageNet's 331 pixels by 150
    "TranslateY": (translate_y, 0.0, 150 / 331, True),
    "Rotate": (rotate, 0.0, 30.0, True),
    "Color": (color, 1.0, 0.9, True),
    "Contrast": (contrast, 1.0, 0.9, True),
    "Brightness": (brightness, 1.0, 0.9, True),
    "Sharpness": (sharpness, 1.0, 0.9, True),
    "Posterize": (posterize, 8.0, -4.0, False),
    "Solarize": (solarize, 256.0, -256.0, False),
    "AutoContrast": (autocontrast, 0.0, 0.0, False),
    "Equalize": (equalize, 0.0, 0.0, False),
    "Invert": (invert, 0.0, 0.0, False),
}
