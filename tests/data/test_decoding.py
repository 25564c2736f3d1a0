"""Pixels of every kind of file beside Pillow's, and what is refused."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.data import decoding, file_checks
from tests.image_files import encoded, pillows

RNG = np.random.default_rng(0)
PHOTO = Image.fromarray(RNG.integers(0, 256, (5, 4, 3), np.uint8)).resize((61, 47), Image.BICUBIC)  # 47 rows
SECOND = PHOTO.rotate(90, expand=False)


def transparent():
    image = PHOTO.copy()
    image.putalpha(Image.fromarray(RNG.integers(0, 256, (47, 61), np.uint8)))
    return image


KINDS = {
    "grey JPEG": (PHOTO.convert("L"), "jpeg", {}),
    "CMYK JPEG": (PHOTO.convert("CMYK"), "jpeg", {}),
    "progressive JPEG": (PHOTO, "jpeg", {"progressive": True}),
    "grey PNG": (PHOTO.convert("L"), "png", {}),
    "grey PNG with alpha": (transparent().convert("LA"), "png", {}),
    "black and white PNG": (PHOTO.convert("1"), "png", {}),
    "PNG with a palette": (PHOTO.quantize(16), "png", {}),
    "PNG with a transparent colour": (PHOTO.quantize(16), "png", {"transparency": 3}),
    "PNG with alpha": (transparent(), "png", {}),
    "WebP": (PHOTO, "webp", {}),
    "lossless WebP": (PHOTO, "webp", {"lossless": True}),
    "WebP with alpha": (transparent(), "webp", {}),
    "lossless WebP with alpha": (transparent(), "webp", {"lossless": True, "exact": True}),
    "WebP whose alpha is full": (PHOTO.convert("RGBA"), "webp", {}),
    "GIF": (PHOTO, "gif", {}),
    "animated GIF": (PHOTO, "gif", {"save_all": True, "append_images": [SECOND]}),
    "BMP": (PHOTO, "bmp", {}),
    "grey BMP": (PHOTO.convert("L"), "bmp", {}),
    "BMP with a palette": (PHOTO.quantize(256), "bmp", {}),
    "BMP with a short palette": (PHOTO.quantize(16), "bmp", {}),
    "BMP with alpha": (transparent(), "bmp", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_pixels_are_pillows(name):
    image, kind, options = KINDS[name]
    content = encoded(image, kind, **options)
    ours = decoding.decode(content).numpy()
    assert ours.dtype == np.uint8 and ours.shape == (47, 61, 3)
    difference = np.abs(ours - pillows(content)).mean()
    assert difference < 2 if kind == "jpeg" else difference == 0


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_the_stored_shape_is_not_turned(kind):
    assert decoding.stored_shape(encoded(PHOTO, kind, held=6)).numpy().tolist() == [47, 61]


def test_of_16_bits_the_high_byte_is_taken():
    pixels = RNG.integers(0, 65536, (20, 30), np.uint16)
    expected = np.repeat((pixels >> 8)[..., None], 3, -1)
    np.testing.assert_array_equal(decoding.decode(encoded(Image.fromarray(pixels), "png")), expected)


def test_palette_colours_by_hand():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert decoding.decode(encoded(image, "bmp")).numpy().tolist() == [[[10, 20, 30], [40, 50, 60]]]


def bmp(bits, header=40, compression=0, used=0, masks=b""):
    """A BMP of 8 x 2 pixels; its palette and pixels are noise."""
    palette = RNG.bytes(4 << bits) if bits <= 8 else b""
    offset = 14 + header + len(masks) + len(palette)
    if header == 12:
        information = struct.pack("<IHHHH", 12, 8, 2, 1, bits)
    else:
        information = struct.pack("<IiiHHIIiiII", header, 8, 2, 1, bits, compression, 0, 0, 0, used, 0)
    pixels = RNG.bytes(2 * bits)  # rows of 8 * bits / 8 bytes
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + information + masks + palette + pixels


ANIMATED = encoded(PHOTO, "webp", save_all=True, append_images=[SECOND])
ANIMATED_ALPHA = encoded(transparent(), "webp", save_all=True, append_images=[SECOND.convert("RGBA")])
RED, GREEN, BLUE = 0xFF0000, 0x00FF00, 0x0000FF
REFUSED = {
    "animated WebP": (ANIMATED, decoding.ANIMATED),
    "animated WebP with alpha": (ANIMATED_ALPHA, decoding.ANIMATED),
    "BMP of 1 bit": (encoded(PHOTO.convert("1"), "bmp"), decoding.OTHER_BMP),
    "BMP of 4 bits": (bmp(4), decoding.OTHER_BMP),
    "BMP of 16 bits": (bmp(16), decoding.OTHER_BMP),
    "compressed BMP": (bmp(8, compression=1), decoding.OTHER_BMP),
    "BMP of OS/2": (bmp(24, header=12), decoding.OTHER_BMP),
    "BMP of OS/2 with a palette": (bmp(8, header=12), decoding.OTHER_BMP),
    "BMP with a palette too long": (bmp(8, used=300), decoding.OTHER_BMP),
    "BMP with other masks": (bmp(32, 40, 3, masks=struct.pack("<III", BLUE, GREEN, RED)), decoding.OTHER_BMP),
    "the beginning of a BMP": (b"BM", decoding.OTHER_BMP),
    "nothing": (b"", "Input is empty."),
    "text": (b"no image", "Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required."),
    "TIFF": (encoded(PHOTO, "tiff"), "Unknown image file format."),
    "half a JPEG": (encoded(PHOTO, "jpeg")[:500], "jpeg::Uncompress failed."),
    "half a WebP": (encoded(transparent(), "webp")[:200], "Failed to decode WebP image."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name):
    content, reason = REFUSED[name]
    said = decoding.refusal(content)
    assert said.startswith(reason) and "\n" not in said
    with pytest.raises(tf.errors.InvalidArgumentError, match=reason[:20].replace("(", r"\(")):
        list(tf.data.Dataset.from_tensors(content).map(decoding.decode))


def test_masks_that_are_usual_are_read():
    content = bmp(32, 40, 3, masks=struct.pack("<III", RED, GREEN, BLUE))
    assert decoding.refusal(content) is None
    np.testing.assert_array_equal(decoding.decode(content), pillows(content))


def test_inspection_and_glance_name_the_same(tmp_path):
    for name, content in (("a.bmp", bmp(4)), ("b.webp", ANIMATED), ("c.bmp", encoded(PHOTO.quantize(16), "bmp"))):
        (tmp_path / name).write_bytes(content)
    paths = [str(path).encode() for path in sorted(tmp_path.iterdir())]
    expected = {0: "BMP of a kind that is not read; save it as PNG", 1: "Animated WebP; only still images are read"}
    assert file_checks.Inspection()(paths) == expected
    assert file_checks.glance([paths[0], paths[2]]) == {0: expected[0]}


def test_a_reason_from_inside_a_graph_is_one_line():
    message = "Graph execution error:\n\nDetected at node a/b defined at\n\nToo bad.\n\t [[{{node a/b}}]] [Op:__x_1]"
    assert decoding.one_line(message) == "Too bad."
    assert decoding.one_line("{{function_node f}} assertion failed: [No [such] thing] [Op:F]") == "No [such] thing"
