"""How a camera was held: the EXIF orientation of JPEG and WebP files, read in the graph, and images turned upright.

Orientation 1 is upright; in the others the stored image is mirrored, upside down or on its side (tag 0x0112 of TIFF's
first directory).  No decoder of TensorFlow applies it.  XMP's orientation and PNG's eXIf chunk are not read.
"""

import tensorflow as tf

from bbn_tf.data import containers
from bbn_tf.data.containers import byte_values, number

ON_ITS_SIDE = 5  # from here on height and width change places
UPSIDE_DOWN = (3, 4, 7, 8)  # after that, rows are to be reversed
MIRRORED = (2, 3, 6, 7)  # and columns
WEBP_EXIF = 0x08  # flag in the header of a WebP file
TAG, SHORT, LONG = 0x0112, 3, 4  # LONG is against the standard, but met


@containers.separate
def of_file(content):
    """Which way an image is stored.

    Args:
        content: scalar string, an image file of any format.

    Returns:
        int32 scalar, 1 to 8; 1 if the file does not say.
    """
    return tf.case(
        [
            (tf.io.is_jpeg(content) & containers.names_exif(content), lambda: of_jpeg(content)),
            (containers.is_webp(content), lambda: _of_exif(_webp_exif(content))),
        ],
        default=lambda: tf.constant(1),
    )


@containers.separate
def of_jpeg(content):
    """`of_file` of what is known to be a JPEG; ask `containers.names_exif` first, which is faster."""
    return _of_exif(containers.jpeg_exif(content))


def is_turned(content):
    """Whether a file's content (bytes) is an image that is stored in another way than upright."""
    return bool(of_file(content) != 1)


def count_turned(paths):
    """How many of these image files (sequence of bytes) are stored in another way than upright.

    What can't be read is left out.
    """
    paths = tf.data.Dataset.from_tensor_slices(tf.constant(list(paths), tf.string))
    turned = paths.map(lambda path: of_file(tf.io.read_file(path)) != 1, tf.data.AUTOTUNE)
    return int(sum(turned.ignore_errors().as_numpy_iterator()))


def note_turned(paths):
    """Prints a line for a run of an older version, which read files as they are stored, if that was another way."""
    turned = count_turned(paths)
    if turned:
        print(f"note: {turned} of {len(paths)} photos are turned upright now; they were not when this run was trained")


def turn(image, held):
    """The stored image [H, W, C] upright: [H, W, C], or [W, H, C] if it lies on its side."""
    standing = tf.cond(held >= ON_ITS_SIDE, lambda: _transposed(image), lambda: image)
    return tf.reverse(standing, tf.boolean_mask([0, 1], _flips(held)))


def _transposed(image):
    """[H, W, C] -> [W, H, C], pixel by pixel: oneDNN complains of tf.transpose."""
    height, width, channels = tf.unstack(tf.shape(image))
    places = tf.range(width)[:, None] + width * tf.range(height)  # [W, H], in the rows one behind the other
    return tf.gather(tf.reshape(image, [height * width, channels]), places)


def upright_shape(shape, held):
    """int32 [2], height and width of the stored image -> those of the upright one; its own inverse."""
    return tf.where(held >= ON_ITS_SIDE, tf.reverse(shape, [0]), shape)


def stored_window(window, shape, held):
    """Where a window of the upright image lies in the stored one.

    Args:
        window: int32 [4], top, left, height, width in the upright image.
        shape: int32 [2], height and width of the upright image.
        held: int32 scalar, the image's orientation.

    Returns:
        int32 [4], in the stored image.
    """
    place, size = tf.split(window, 2)
    place = tf.where(_flips(held), shape - place - size, place)
    return tf.concat([upright_shape(place, held), upright_shape(size, held)], 0)


def _flips(held):
    """bool [2]: whether rows and columns are to be reversed."""
    return tf.reduce_any(held == tf.constant([UPSIDE_DOWN, MIRRORED]), axis=1)


def _webp_exif(content):
    """EXIF of a WebP file; libwebp does not show it, and so Pillow does not see it, if the header denies it."""
    announced = containers.webp_flags(content) & WEBP_EXIF != 0
    return tf.cond(announced, lambda: containers.webp_chunk(content, b"EXIF"), lambda: tf.constant(b""))


def _of_exif(exif):
    """Orientation in a block of EXIF, scalar string: a TIFF file, with EXIF's name before it in some, or empty."""
    exif = tf.strings.regex_replace(exif, b"^" + containers.EXIF, b"")
    order = tf.strings.substr(exif, 0, 2)
    valid = (order == b"II") | (order == b"MM")
    return tf.cond(valid, lambda: _of_tiff(exif, order == b"II"), lambda: tf.constant(1))


def _of_tiff(tiff, little):
    """Orientation in a TIFF file's first directory: entries of tag, type, count, value of 2, 2, 4 and 4 bytes.

    Of two entries the first holds, and one that is cut off is none, as in Pillow.
    """
    start = number(byte_values(tiff, 4, 4), little)
    count = number(byte_values(tiff, start, 2), little)
    complete = tf.minimum(count, tf.maximum(0, tf.strings.length(tiff) - start - 2) // 12)
    entries = tf.reshape(byte_values(tiff, start + 2, 12 * (complete + 1))[: 12 * complete], [-1, 12])
    tag, kind = number(entries[:, :2], little), number(entries[:, 2:4], little)
    short, long = number(entries[:, 8:10], little), number(entries[:, 8:12], little)
    known = (tag == TAG) & ((kind == SHORT) | (kind == LONG))
    first = tf.concat([tf.where(kind == SHORT, short, long)[known], [1]], 0)[0]
    return tf.where((first >= 1) & (first <= 8), first, 1)
