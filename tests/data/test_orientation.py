"""EXIF orientation beside Pillow's `exif_transpose`, in whole files and in crops."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.data import crops, decoding, orientation
from tests.image_files import encoded, pillows

KEY = tf.constant([3, 4], tf.int64)
RNG = np.random.default_rng(0)
PHOTO = Image.fromarray(RNG.integers(0, 256, (5, 4, 3), np.uint8)).resize((60, 40), Image.BICUBIC)  # 40 rows
ALL = range(1, 9)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("held", ALL)
def test_files_are_turned_as_pillow_turns_them(held, order):
    transparent = PHOTO.copy()
    transparent.putalpha(128)
    jpeg = encoded(PHOTO, "jpeg", held, order)
    for content in (encoded(PHOTO, "webp", held, order), encoded(transparent, "webp", held, order, lossless=True)):
        np.testing.assert_array_equal(decoding.decode(content), pillows(content))
    ours = decoding.decode(jpeg).numpy()
    assert ours.shape == ((40, 60, 3) if held < 5 else (60, 40, 3))
    assert np.abs(ours - pillows(jpeg)).mean() < 2
    assert [int(orientation.of_file(content)) for content in (jpeg, content)] == [held, held]
    assert orientation.is_turned(jpeg) == (held != 1)


def test_other_files_are_upright():
    for content in (
        encoded(PHOTO, "jpeg"),
        encoded(PHOTO, "webp"),
        encoded(PHOTO, "png", 6),
        encoded(PHOTO, "jpeg", 9),
    ):
        assert int(orientation.of_file(content)) == 1 and not orientation.is_turned(content)
    assert int(orientation.of_file(b"")) == 1


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + data


def tiff(*entries, start=8, order=b"MM"):
    big = ">" if order == b"MM" else "<"
    packed = [struct.pack(f"{big}HHI", tag, kind, count) + value for tag, kind, count, value in entries]
    directory = struct.pack(f"{big}H", len(packed)) + b"".join(packed) + bytes(4)
    return order + struct.pack(f"{big}HI", 42, start) + bytes(start - 8) + directory


def with_segments(*segments, before=0xDB):
    """A JPEG with these segments before the first one of a kind: tables, the frame's header or the scan."""
    content = encoded(PHOTO, "jpeg")
    place = content.index(bytes([0xFF, before]))
    return content[:place] + b"".join(segments) + content[place:]


SIX = (0x0112, 3, 1, b"\0\6\0\0")
THREE = (0x0112, 3, 1, b"\0\3\0\0")
EXIF = segment(0xE1, b"Exif\0\0" + tiff(SIX))
XMP = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<tiff:Orientation>3</tiff:Orientation>")
PLACES = {
    "behind XMP and a comment": (with_segments(XMP, segment(0xFE, b"Exif\0\0 is in here"), EXIF), 6),
    "before the frame": (with_segments(EXIF, before=0xC0), 6),
    "before the scan": (with_segments(EXIF, before=0xDA), 6),
    "behind padding": (with_segments(b"\xff\xff\xff", EXIF), 6),
    "twice": (with_segments(EXIF, segment(0xE1, b"Exif\0\0" + tiff(THREE))), 6),
    "only in a comment": (with_segments(segment(0xFE, EXIF)), 1),
    "behind the image": (with_segments() + EXIF, 1),
    "in XMP alone": (with_segments(XMP), 1),
    "in the middle of the block": (with_segments(segment(0xE1, b"Exif\0\0" + tiff(SIX, start=20))), 6),
    "as a long number": (with_segments(segment(0xE1, b"Exif\0\0" + tiff((0x0112, 4, 1, b"\0\0\0\6")))), 6),
    "as text": (with_segments(segment(0xE1, b"Exif\0\0" + tiff((0x0112, 2, 1, b"6\0\0\0")))), 1),
    "out of range": (with_segments(segment(0xE1, b"Exif\0\0" + tiff((0x0112, 3, 1, b"\0\x0c\0\0")))), 1),
    "two tags": (with_segments(segment(0xE1, b"Exif\0\0" + tiff(SIX, THREE))), 6),
    "cut within the entry": (with_segments(segment(0xE1, b"Exif\0\0" + tiff(SIX)[:-5])), 1),
    "cut behind the entry": (with_segments(segment(0xE1, b"Exif\0\0" + tiff(SIX)[:-4])), 6),
    "fewer entries than said": (with_segments(segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + tiff(SIX)[10:])), 6),
    "directory behind the end": (with_segments(segment(0xE1, b"Exif\0\0MM\0*\x7f\0\0\0")), 1),
    "directory before the start": (with_segments(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xf0" + bytes(40))), 1),
    "no TIFF": (with_segments(segment(0xE1, b"Exif\0\0what?")), 1),
    "empty": (with_segments(segment(0xE1, b"Exif\0\0")), 1),
}


@pytest.mark.parametrize("name", PLACES)
def test_wherever_exif_is_and_however_broken(name):
    content, expected = PLACES[name]
    assert int(orientation.of_file(content)) == expected
    assert decoding.decode(content).shape == ((40, 60, 3) if expected < 5 else (60, 40, 3))


def test_webp_chunks():
    """EXIF with its name before it, not announced in the header, and with a length that is no length."""
    content = encoded(PHOTO, "webp", 6)
    at = content.index(b"EXIF") + 4
    named = content[:at] + struct.pack("<I", len(content) - at - 4 + 6) + b"Exif\0\0" + content[at + 4 :]
    assert int(orientation.of_file(named)) == 6
    silent = bytearray(content)
    silent[20] &= ~0x08
    assert int(orientation.of_file(bytes(silent))) == 1
    assert int(orientation.of_file(content[:16] + b"\xff\xff\xff\xff" + content[20:])) == 1


@pytest.mark.parametrize("held", ALL)
@pytest.mark.parametrize("crop", [crops.central, crops.random, crops.random_resized])
def test_crops_are_drawn_on_the_upright_image(crop, held):
    """As if the upright image had been stored: the same window, decoded from the turned file."""
    content = encoded(PHOTO, "jpeg", held, subsampling=0)
    upright = encoded(decoding.decode(content).numpy(), "png")
    ours, expected = (crops.decode(file, crop, 16, KEY) for file in (content, upright))
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_only_the_crop_of_a_turned_jpeg_is_decoded(monkeypatch):
    """Upright 60 x 40 on its side (6): rows 10 to 14 and columns 3 to 9 are stored rows 30 to 36, columns 10 to 14."""
    decoded = []
    original = tf.io.decode_and_crop_jpeg

    def recorded(content, window, channels):
        decoded.append(window.numpy().tolist())
        return original(content, window, channels=channels)

    monkeypatch.setattr(tf.io, "decode_and_crop_jpeg", recorded)
    monkeypatch.setattr(decoding, "decode", None)
    crops._decode(encoded(PHOTO, "jpeg", 6), lambda shape, key: tf.constant([10, 3, 4, 7]), 8, key=None)
    assert decoded == [[40 - 3 - 7, 10, 7, 4]]


def before(content, crop, size, key):
    """`crops.decode` as it was before it looked for an orientation."""
    if tf.io.is_jpeg(content):
        image = tf.io.decode_and_crop_jpeg(content, crop(tf.io.extract_jpeg_shape(content)[:2], key), channels=3)
    else:
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        image = crops.cut(image[None], crop(tf.shape(image)[:2], key))[0]
    return crops.resize(image[None], size)[0]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "jpeg that says that it is upright"])
def test_upright_images_give_the_same_batches_as_before(kind):
    content = encoded(PHOTO, kind.split()[0], held=1 if " " in kind else None)
    keys = tf.random.split(KEY, 8)
    crop = crops.random_resized
    read = tf.data.Dataset.from_tensor_slices(keys).map(lambda key: crops.decode(content, crop, 24, key))
    expected = [before(content, crop, 24, key).numpy() for key in keys]
    np.testing.assert_array_equal(list(read.as_numpy_iterator()), expected)


def test_turned_files_are_counted(tmp_path, capsys):
    """For a run that was trained before photos were turned; what can't be read is somebody else's to name."""
    contents = {"a": encoded(PHOTO, "jpeg", 6), "b": encoded(PHOTO, "jpeg"), "c": encoded(PHOTO, "webp", 2), "d": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name).encode() for name in (*contents, "missing")]
    assert orientation.count_turned(paths) == 2 and orientation.count_turned([]) == 0
    orientation.note_turned(paths)
    orientation.note_turned(paths[1:2])
    assert capsys.readouterr().out.startswith("note: 2 of 5 photos are turned upright now; they were not")
