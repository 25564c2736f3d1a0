"""The one way from an image file's content to its pixels, for every use: upright and RGB.

JPEG, PNG, WebP, BMP and GIF (its first frame) are known by their content, not by the file's name.  Transparency is
left out; of numbers of 16 bits the high byte is taken.  Not read: animated WebP, and BMP other than of 24 or 32 bits
or of 8 bits with a palette.
"""

import functools
import re
import threading

import tensorflow as tf

from bbn_tf.data import containers, orientation
from bbn_tf.data.containers import byte_values, number, part

ANIMATION, ALPHA = 0x02, 0x10  # flags in the header of a WebP file
ALPHA_LOSSLESS = 0x10  # in the fifth byte of a lossless WebP image
ANIMATED = "Animated WebP; only still images are read."
BMP_FILE_HEADER, BMP_HEADER = 14, 40  # bytes; files of OS/2 have a shorter one
BGR = (0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0)  # masks of red, green and blue, as TensorFlow takes any to be
TRACING = threading.Lock()
OTHER_BMP = "BMP of a kind that is not read; save it as PNG."


@containers.separate
def decode(content):
    """A file's content, scalar string -> uint8 [H, W, 3], upright.

    Raises:
        tf.errors.InvalidArgumentError: it can't be decoded; `refusal` says why in one line.
    """
    upright = orientation.turn(decode_stored(content), orientation.of_file(content))
    return tf.ensure_shape(upright, [None, None, 3])


@tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)  # traced once a process
def decode_stored(content):
    """A file's content -> uint8 [H, W, 3] as it is stored, not turned; raises as `decode`."""
    return tf.case(
        [
            (containers.is_webp(content), lambda: _decode_webp(content)),
            (tf.strings.substr(content, 0, 2) == b"BM", lambda: _decode_bmp(content)),
        ],
        default=lambda: _decode(content),
    )


def stored_shape(content):
    """A file's content -> int32 [2], height and width as it is stored; of a JPEG nothing is decoded for it."""
    return tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.extract_jpeg_shape(content)[:2],
        lambda: tf.shape(decode_stored(content))[:2],
    )


def refusal(content):
    """Why a file's content (bytes) can't be decoded, in one line; None if it can."""
    with TRACING:  # or each of many threads would make a graph of its own at first
        _traced()
    try:
        decode(content)
    except tf.errors.InvalidArgumentError as error:
        return one_line(error.message)
    return None


@functools.cache
def _traced():
    return decode.get_concrete_function()


def one_line(message):
    """What a decoder or an assertion says, of the `message` of an error that was raised inside a graph."""
    said = message.partition("\n\t [[")[0].rpartition("\n\n")[2]  # between where it was and which operation it was
    said = re.sub(r"{{.*?}}|\[Op:.*?\]", "", said)
    return " ".join(re.sub(r"assertion failed: \[(.*)\]", r"\1", said).split())


def _decode(content, channels=3):
    image = tf.io.decode_image(content, channels=channels, expand_animations=False)
    return tf.ensure_shape(image, [None, None, channels])


def _decode_webp(content):
    """TensorFlow must be told rightly whether a WebP file has alpha; to leave it open can end the process."""
    flags = containers.webp_flags(content)
    lossless = containers.webp_chunk(content, b"VP8L")
    has_alpha = tf.where(
        lossless != b"",
        byte_values(lossless, 4, 1)[0] & ALPHA_LOSSLESS != 0,
        (flags & ALPHA != 0) | (containers.webp_chunk(content, b"ALPH") != b""),
    )
    with tf.control_dependencies([tf.debugging.Assert(flags & ANIMATION == 0, [ANIMATED])]):
        return tf.cond(has_alpha, lambda: _decode(content, 4)[..., :3], lambda: _decode(content))


def _decode_bmp(content):
    """TensorFlow takes the indices into a palette for greys, and any masks of colours for the usual ones."""
    pixels, header = (number(byte_values(content, at, 4), little=True) for at in (10, 14))
    bits = number(byte_values(content, 28, 2), little=True)
    compression, used = (number(byte_values(content, at, 4), little=True) for at in (30, 46))
    palette, colours = BMP_FILE_HEADER + header, tf.where(used == 0, 256, used)
    indexed = (bits == 8) & (compression == 0) & (colours > 0) & (colours <= 256) & (palette + 4 * colours <= pixels)
    masked = (bits == 32) & (compression == 3) & tf.reduce_all(byte_values(content, 54, 12) == BGR)
    direct = ((bits == 24) | (bits == 32)) & (compression == 0)
    read = (header >= BMP_HEADER) & (indexed | masked | direct)
    with tf.control_dependencies([tf.debugging.Assert(read, [OTHER_BMP])]):
        image = _decode(content)

    def coloured():
        entries = tf.io.decode_raw(part(content, palette, 4 * colours), tf.uint8, fixed_length=4 * 256)
        colours_of = tf.reverse(tf.reshape(entries, [256, 4])[:, :3], [1])  # BGR_ -> RGB
        return tf.gather(colours_of, tf.cast(image[..., 0], tf.int32))

    return tf.cond(indexed, coloured, lambda: image)
