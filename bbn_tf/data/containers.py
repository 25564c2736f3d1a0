"""What image files hold beside the pixels, read in the graph; whatever the bytes are, nothing fails here."""

import tensorflow as tf

EXIF = b"Exif\0\0"
WITHOUT_LENGTH = (0x01, 0xD0, 0xD8)  # JPEG markers: TEM, and from RST0 to SOI
LAST = (0xD9, 0xDA)  # EOI and SOS: no metadata behind them


def separate(function):
    """A function of a file's content (scalar string) that stays one operation of the graph that calls it.

    Most files need none of them.  Operations of a branch not taken would still cost a twentieth of decoding.
    """
    content = tf.TensorSpec([], tf.string)
    kept = {"_noinline": True}
    return tf.function(function, input_signature=[content], autograph=False, experimental_attributes=kept)


def part(content, start, count=None):
    """Up to `count` bytes from `start`, by default all; none behind the end, where TensorFlow would fail."""
    end = tf.strings.length(content)
    start = tf.where(start < 0, end, tf.minimum(start, end))
    return tf.strings.substr(content, start, end if count is None else count)


def byte_values(content, start, count):
    """int32 [count], each 0..255; 0 behind the end of the content."""
    return tf.cast(tf.io.decode_raw(part(content, start, count), tf.uint8, fixed_length=count), tf.int32)


def number(values, little):
    """Whole numbers of bytes, int32 [..., K] -> [...], the smallest byte first if `little`; from 2**31 on negative."""
    weights = tf.constant([256**place for place in range(values.shape[-1])])
    return tf.reduce_sum(values * tf.where(little, weights, tf.reverse(weights, [0])), axis=-1)


def names_exif(content):
    """Whether the name of EXIF stands anywhere; most files don't have it, and to look costs a hundredth of decoding."""
    without = tf.strings.regex_replace(content, EXIF, b"", replace_global=False)
    return tf.strings.length(without) < tf.strings.length(content)


def jpeg_exif(content):
    """The first EXIF segment of a JPEG, without its name: scalar string, empty if there is none before the image."""
    end = tf.strings.length(content)

    def found(head):
        return tf.reduce_all(head[:2] == [0xFF, 0xE1]) & tf.reduce_all(head[4:] == list(EXIF))

    def searching(at, head):
        last = (head[0] == 0xFF) & tf.reduce_any(head[1] == LAST)
        return (at < end) & ~last & ~found(head)

    def next_segment(at, head):
        at += _segment_length(head)
        return at, byte_values(content, at, 10)

    at, head = tf.while_loop(searching, next_segment, [tf.constant(2), byte_values(content, 2, 10)])
    length = tf.maximum(0, number(head[2:4], little=False) - 8)
    return tf.cond(found(head), lambda: part(content, at + 10, length), lambda: tf.constant(b""))


def _segment_length(head):
    """Bytes to the next place where a segment may begin; head: int32 [10], the bytes at this place."""
    is_marker = (head[0] == 0xFF) & (head[1] != 0xFF) & (head[1] != 0)  # others are padding
    alone = (head[1] == WITHOUT_LENGTH[0]) | ((head[1] >= WITHOUT_LENGTH[1]) & (head[1] <= WITHOUT_LENGTH[2]))
    return tf.where(is_marker, tf.where(alone, 2, 2 + number(head[2:4], little=False)), 1)


def is_webp(content):
    return (tf.strings.substr(content, 0, 4) == b"RIFF") & (part(content, 8, 4) == b"WEBP")


def webp_flags(content):
    """int32 scalar, the sum of the flags in the header of a WebP file; 0 without that header."""
    return byte_values(webp_chunk(content, b"VP8X"), 0, 1)[0]


def webp_chunk(content, name):
    """The first chunk of a WebP file that has this name (bytes [4]): scalar string, empty if there is none."""
    end = tf.strings.length(content)

    def size(at):
        given = number(byte_values(content, at + 4, 4), little=True)
        return tf.where(given < 0, end, tf.minimum(given, end))

    def elsewhere(at):
        return (at < end) & (part(content, at, 4) != name)

    (at,) = tf.while_loop(elsewhere, lambda at: [at + 8 + size(at) + size(at) % 2], [tf.constant(12)])
    return tf.cond(at < end, lambda: part(content, at + 8, size(at)), lambda: tf.constant(b""))
