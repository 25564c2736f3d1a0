"""Image files of any size: which square or rectangle of one is decoded and brought to the network's size."""

import functools

import tensorflow as tf

from bbn_tf.data import containers, decoding, orientation

ENLARGED = 256 / 224  # the shorter side before a crop, in sides of the crop (section 5.2 of arXiv:1912.02413)
TRIES = 10  # of `random_resized`, as torchvision's
AREA, LOG_RATIO = (0.08, 1.0), 0.2876820724517809  # shares of the image's area; log(4/3)


def central(shape, key=None):
    """The middle square of the image with its shorter side at 256/224 of the crop's: what is evaluated on.

    The window is taken in the file's own pixels, so that only it needs to be decoded, and resized after it, where
    the paper resizes first: the same but for the rounding of its corners.

    Args:
        shape: int32 [2], height and width.
        key: unused.

    Returns:
        int32 [4]: top, left, height, width.
    """
    del key
    side = _side(shape)
    return tf.concat([(shape - side) // 2, [side, side]], 0)


def random(shape, key):
    """A square of the same size at a random place: the paper's input.

    Args:
        shape: int32 [2], height and width.
        key: int [2].

    Returns:
        int32 [4]: top, left, height, width.
    """
    side = _side(shape)
    return _placed(shape, tf.stack([side, side]), key)


def random_resized(shape, key):
    """A random 8 to 100 % of the area at a ratio of 3:4 to 4:3: torchvision's RandomResizedCrop, the published code's.

    Args:
        shape: int32 [2], height and width.
        key: int [2].

    Returns:
        int32 [4]: top, left, height, width.
    """
    keys = tf.random.split(key, 3)
    height, width = tf.unstack(tf.cast(shape, tf.float32))
    area = height * width * tf.random.stateless_uniform([TRIES], keys[0], *AREA)
    root = tf.exp(tf.random.stateless_uniform([TRIES], keys[1], -LOG_RATIO, LOG_RATIO) / 2)  # of width / height
    sizes = tf.cast(tf.round(tf.stack([tf.sqrt(area) / root, tf.sqrt(area) * root], 1)), tf.int32)  # [TRIES, 2]
    fits = tf.reduce_all((sizes > 0) & (sizes <= shape), axis=1)
    whole = tf.minimum(shape, tf.cast(tf.round(tf.cast(tf.reverse(shape, [0]), tf.float32) * (4 / 3)), tf.int32))
    drawn = _placed(shape, sizes[tf.argmax(fits)], keys[2])  # the first that fits
    return tf.where(tf.reduce_any(fits), drawn, tf.concat([(shape - whole) // 2, whole], 0))


def decode(content, crop, size, key=None):
    """The crop of an encoded image; of a JPEG no more is decoded than it needs.

    A window is drawn in the upright image.  Where the image is stored otherwise, the window is looked up there.

    Args:
        content: scalar string, see `decoding`.
        crop: `central`, `random` or `random_resized`.
        size: side of the result in pixels.
        key: int [2], for a random crop.

    Returns:
        float32 [size, size, 3], values 0..255.

    Raises:
        tf.errors.InvalidArgumentError: it can't be decoded.
    """
    content = tf.convert_to_tensor(content)  # TensorFlow would trace the function again for every new Python string
    return tf.ensure_shape(_decoder(crop, size)(content, key), [size, size, 3])


@functools.cache  # so that both streams of BBN, and all pipelines of a process, trace it once: half a second each
def _decoder(crop, size):
    return tf.function(lambda content, key: _decode(content, crop, size, key))


def _decode(content, crop, size, key):
    def part_of_jpeg(window):
        return resize(tf.io.decode_and_crop_jpeg(content, window, channels=3)[None], size)[0]

    def from_upright_jpeg():
        return part_of_jpeg(crop(tf.io.extract_jpeg_shape(content)[:2], key))

    def from_turned_jpeg():
        held = orientation.of_jpeg(content)
        shape = orientation.upright_shape(tf.io.extract_jpeg_shape(content)[:2], held)
        stored = part_of_jpeg(orientation.stored_window(crop(shape, key), shape, held))
        return orientation.turn(stored, held)  # after resizing, since there is less of it

    def from_jpeg():
        return tf.cond(containers.names_exif(content), from_turned_jpeg, from_upright_jpeg)

    def from_other():
        image = decoding.decode(content)
        return resize(cut(image[None], crop(tf.shape(image)[:2], key)), size)[0]

    return tf.cond(tf.io.is_jpeg(content), from_jpeg, from_other)


def cut(images, window):
    """[B, H, W, 3] -> [B, H', W', 3], `window` of each."""
    top, left, height, width = tf.unstack(window)
    return images[:, top : top + height, left : left + width]


def resize(images, size):
    """[B, H, W, 3] -> float32 [B, size, size, 3].

    Made smaller, every pixel is the mean of those it covers, which is close to Pillow's antialiased resizing and
    three times as fast as TensorFlow's; made larger, it is interpolated.
    """
    smaller = tf.reduce_all(tf.shape(images)[1:3] >= size)
    resized = tf.cond(
        smaller,
        lambda: tf.image.resize(images, [size, size], "area"),
        lambda: tf.image.resize(images, [size, size], "bilinear", antialias=True),
    )
    return tf.ensure_shape(resized, [None, size, size, 3])


def _side(shape):
    """Side of the square in the file's pixels, at least 1."""
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    return tf.maximum(1, tf.cast(tf.round(shorter / ENLARGED), tf.int32))


def _placed(shape, size, key):
    """int32 [4]: a window of `size` (int32 [2]) whose place is drawn from all inside the image."""
    chance = tf.random.stateless_uniform([2], key)
    return tf.concat([tf.cast(chance * tf.cast(shape - size + 1, tf.float32), tf.int32), size], 0)
