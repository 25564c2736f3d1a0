import io

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from PIL import Image

from bbn_tf.data import crops, readers

KEY = tf.constant([3, 4], tf.int64)


def ramps(height, width):
    """uint8 [H, W, 3]: red grows downwards, green to the right, so that a crop's place can be read off it."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full((height, width), 128)], -1).astype(np.uint8)


def encoded(pixels, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def windows(crop, shape, count=2000):
    keys = tf.random.split(KEY, count)
    return tf.vectorized_map(lambda key: crop(tf.constant(shape), key), keys).numpy()


def test_central_window_by_hand():
    """Shorter side 256 to crop 224 is 7/8: of 160 x 240 the middle 140 x 140."""
    assert crops.central(tf.constant([160, 240])).numpy().tolist() == [10, 50, 140, 140]
    assert crops.central(tf.constant([1, 1])).numpy().tolist() == [0, 0, 1, 1]


def test_random_windows_are_everywhere():
    """A square of 140 lies at any of 21 x 101 places alike."""
    drawn = windows(crops.random, [160, 240])
    assert np.all(drawn[:, 2:] == 140)
    for column, places in ((0, 21), (1, 101)):
        counts = np.bincount(drawn[:, column], minlength=places)
        assert len(counts) == places and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_random_resized_windows_follow_their_law():
    top, left, height, width = windows(crops.random_resized, [300, 300]).T
    assert np.all((top >= 0) & (left >= 0) & (top + height <= 300) & (left + width <= 300))
    area, ratio = height * width / 300**2, width / height
    assert area.min() == pytest.approx(0.08, abs=0.005) and 0.9 < area.max() <= 1
    assert ratio.min() == pytest.approx(3 / 4, abs=0.02) and ratio.max() == pytest.approx(4 / 3, abs=0.02)
    assert np.mean(area < 0.4) == pytest.approx(0.32 / 0.92, abs=0.06)  # large ones that do not fit are drawn again
    assert np.mean(ratio < 1) == pytest.approx(0.5, abs=0.04)


def test_random_resized_falls_back_to_the_middle():
    """Of 10 x 1000 nothing of 8 % at 3:4 to 4:3 fits: the middle at 4:3, as torchvision."""
    assert crops.random_resized(tf.constant([10, 1000]), KEY).numpy().tolist() == [0, 493, 10, 13]
    assert crops.random_resized(tf.constant([1000, 10]), KEY).numpy().tolist() == [493, 0, 13, 10]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_the_middle_is_decoded_from_any_format(kind):
    options = {"jpeg": {"quality": 95}, "png": {}, "webp": {"lossless": True}}[kind]
    image = crops.decode(encoded(ramps(160, 240), kind, **options), crops.central, 70).numpy()
    assert image.shape == (70, 70, 3)
    expected = np.asarray(Image.fromarray(ramps(160, 240)).crop((50, 10, 190, 150)).resize((70, 70), Image.BOX))
    np.testing.assert_allclose(image, expected, atol=5)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_have_three_channels(mode):
    buffer = io.BytesIO()
    Image.fromarray(ramps(64, 64)).convert(mode).save(buffer, "jpeg")
    assert crops.decode(buffer.getvalue(), crops.central, 16).shape == (16, 16, 3)


@pytest.mark.parametrize(("side", "size"), [(200, 64), (64, 64), (20, 64)])
def test_resize_is_close_to_pillows(side, size):
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (20, 20, 3)).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(blocks).resize((side, side), Image.BICUBIC))
    ours = crops.resize(tf.constant(pixels)[None], size)[0].numpy()
    theirs = np.asarray(Image.fromarray(pixels).resize((size, size), Image.BILINEAR))
    assert np.abs(ours - theirs).mean() < 6
    if side <= size:
        np.testing.assert_allclose(ours, theirs, atol=1.01)


def test_reader_mirrors_half_and_depends_on_its_key_alone(tmp_path):
    path = tmp_path / "ramp.png"
    path.write_bytes(encoded(ramps(80, 80), "png"))
    contents = readers.file_contents([str(path).encode()])
    read = readers.image_reader(contents, 32, (0.0,) * 3, (1 / 255,) * 3, "basic", True)
    images = [read(0, key).numpy() for key in tf.random.split(KEY, 60)]
    mirrored = [image[0, 0, 1] > image[0, -1, 1] for image in images]
    assert 15 < sum(mirrored) < 45
    np.testing.assert_array_equal(images[7], read(0, tf.random.split(KEY, 60)[7]))
    still = readers.image_reader(contents, 32, (0.0,) * 3, (1 / 255,) * 3, "basic", False)
    assert all(image[0, 0, 1] < image[0, -1, 1] for image in map(still, [0] * 9, tf.random.split(KEY, 9)))


def test_a_crop_is_traced_once_for_all_files():
    for more in range(3):
        content = encoded(ramps(20, 20 + more), "png")
        assert crops.decode(content, crops.central, 17).shape == (17, 17, 3)
    assert crops._decoder(crops.central, 17).experimental_get_tracing_count() == 1
