"""Each operation against PIL, in which the policies' papers define them; and by hand."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from bbn_tf.data import image_operations
from bbn_tf.data.image_operations import OPERATIONS, transform

SIDE = 32


def pil_affine(*matrix):
    return lambda image: image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(128,) * 3)


PIL = {  # name -> function of the amount -> function of the image
    "Identity": lambda a: lambda image: image,
    "ShearX": lambda a: pil_affine(1, a, 0, 0, 1, 0),
    "ShearY": lambda a: pil_affine(1, 0, 0, a, 1, 0),
    "TranslateX": lambda a: pil_affine(1, 0, a * SIDE, 0, 1, 0),
    "TranslateY": lambda a: pil_affine(1, 0, 0, 0, 1, a * SIDE),
    "Rotate": lambda a: lambda image: image.rotate(a, fillcolor=(128,) * 3),
    "Color": lambda a: lambda image: ImageEnhance.Color(image).enhance(a),
    "Contrast": lambda a: lambda image: ImageEnhance.Contrast(image).enhance(a),
    "Brightness": lambda a: lambda image: ImageEnhance.Brightness(image).enhance(a),
    "Sharpness": lambda a: lambda image: ImageEnhance.Sharpness(image).enhance(a),
    "Posterize": lambda a: lambda image: ImageOps.posterize(image, round(a)),
    "Solarize": lambda a: lambda image: ImageOps.solarize(image, a),
    "AutoContrast": lambda a: ImageOps.autocontrast,
    "Equalize": lambda a: ImageOps.equalize,
    "Invert": lambda a: ImageOps.invert,
}
# What the paper's table 6 gives as the ends of the ranges: amount at fraction 1 with sign 1 and with -1.
ENDS = {
    "ShearX": (0.3, -0.3),
    "ShearY": (0.3, -0.3),
    "TranslateX": (150 / 331, -150 / 331),
    "TranslateY": (150 / 331, -150 / 331),
    "Rotate": (30, -30),
    "Color": (1.9, 0.1),
    "Contrast": (1.9, 0.1),
    "Brightness": (1.9, 0.1),
    "Sharpness": (1.9, 0.1),
    "Posterize": (4, 4),
    "Solarize": (0, 0),
}


def pictures(count=24):
    """uint8 [count, 32, 32, 3]: smooth ones with a narrow range, noise, and one that is all of one value."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 200, (count // 2, 4, 4, 3), dtype=np.uint8)
    smooth = [np.asarray(Image.fromarray(c).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for c in coarse]
    noise = rng.integers(0, 256, (count - count // 2, SIDE, SIDE, 3), dtype=np.uint8)
    noise[-1] = 90
    return np.concatenate([smooth, noise])


def run(images, name, fraction, sign, inside_tf_data=False):
    batch = len(images)
    operation = np.full(batch, list(OPERATIONS).index(name), np.int32)
    arguments = [np.broadcast_to(np.float32(x), [batch]) for x in (fraction, sign)]
    if inside_tf_data:
        one = tf.data.Dataset.from_tensors((images, operation, *arguments)).map(transform)
        return next(iter(one)).numpy()
    return transform(tf.constant(images), *map(tf.constant, (operation, *arguments))).numpy()


def test_table_is_complete():
    assert list(PIL) == list(OPERATIONS)


@pytest.mark.parametrize("inside_tf_data", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_as_pil(name, inside_tf_data):
    """Equal, but for one in a thousand pixels of a move (a tie between two) and 1 of 255 in AutoContrast (rounding)."""
    images, rng = pictures(), np.random.default_rng(1)
    fraction, sign = np.float32(rng.uniform(0, 1, len(images))), np.float32(rng.choice([-1, 1], len(images)))
    fraction[:4], sign[:4] = [0, 0, 1, 1], [1, -1, 1, -1]
    _, neutral, span, two_sided = OPERATIONS[name]
    amounts = neutral + span * fraction * (sign if two_sided else 1)
    actual = run(images, name, fraction, sign, inside_tf_data)
    expected = [np.asarray(PIL[name](float(a))(Image.fromarray(i))) for i, a in zip(images, amounts, strict=True)]
    assert actual.dtype == np.uint8 and actual.shape == images.shape
    difference = np.abs(actual.astype(int) - expected)
    assert np.mean(difference > (1 if name == "AutoContrast" else 0)) <= (1e-3 if name == "Rotate" else 0)


@pytest.mark.parametrize("name", ENDS)
def test_ends_of_the_ranges(name):
    _, neutral, span, two_sided = OPERATIONS[name]
    np.testing.assert_allclose((neutral + span, neutral - span if two_sided else neutral + span), ENDS[name])


def test_each_image_goes_through_its_own_operation():
    """A batch of all operations at once gives what each gives alone, in place."""
    images = pictures(2 * len(OPERATIONS))
    operation = np.random.default_rng(2).permutation(np.repeat(np.arange(len(OPERATIONS), dtype=np.int32), 2))
    fraction = np.linspace(0, 1, len(images), dtype=np.float32)
    together = transform(tf.constant(images), operation, tf.constant(fraction), tf.ones(len(images))).numpy()
    for place, name in enumerate(np.array(list(OPERATIONS))[operation]):
        assert np.array_equal(together[place], run(images[place : place + 1], name, fraction[place], 1)[0])


def test_by_hand():
    """On the values 10, 20, 100 and 200 of a grey image of 4x4 pixels, four rows alike."""
    row = np.array([10, 20, 100, 200], np.uint8)
    images = np.tile(row[None, None, :, None], (1, 4, 1, 3))

    def first_row(function, amount):
        return function(tf.constant(images), tf.constant([amount])).numpy()[0, 0, :, 0].tolist()

    assert first_row(image_operations.translate_x, 0.25) == [20, 100, 200, 128]  # empty: grey
    assert first_row(image_operations.translate_x, -0.25) == [128, 10, 20, 100]
    assert first_row(image_operations.translate_y, -0.25) == [128, 128, 128, 128]
    assert first_row(image_operations.brightness, 1.5) == [15, 30, 150, 255]
    assert first_row(image_operations.contrast, 0.0) == [83] * 4  # mean 82.5, rounded up
    assert first_row(image_operations.color, 0.0) == row.tolist()  # grey already
    assert first_row(image_operations.solarize, 100.0) == [10, 20, 155, 55]  # 100 itself too
    assert first_row(image_operations.posterize, 4.0) == [0, 16, 96, 192]
    assert first_row(image_operations.invert, 0.0) == [245, 235, 155, 55]
    assert first_row(image_operations.autocontrast, 0.0) == [0, 13, 120, 255]  # (v - 10) * 255 // 190
    assert first_row(image_operations.equalize, 0.0) == row.tolist()  # fewer than 255 pixels: as they are


def test_equalize_flattens_the_histogram():
    """Of 1,024 pixels 512 are 7, 256 are 8 and 256 are 9: step 3, so 0, 171 and 256, cut to 255."""
    values = np.repeat(np.uint8([7, 8, 9]), [512, 256, 256])
    images = np.tile(np.random.default_rng(0).permutation(values).reshape(1, SIDE, SIDE, 1), 3)
    equal = run(images, "Equalize", 0, 1)
    assert [set(equal[images == value]) for value in (7, 8, 9)] == [{0}, {171}, {255}]


def test_rotation_is_counter_clockwise_and_leaves_grey_corners():
    images = np.full((1, SIDE, SIDE, 3), 255, np.uint8)
    images[:, :, : SIDE // 2] = 100
    turned = run(images, "Rotate", 1, 1)[0, :, :, 0]
    assert turned[0, 0] == turned[-1, -1] == 128
    assert turned[4, 14] == 255 and turned[27, 17] == 100  # the border's upper end has moved to the left
