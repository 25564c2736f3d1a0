"""The augmentations' draws; the operations themselves are in test_image_operations.py."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from bbn_tf.choices import imported
from bbn_tf.data import augment, input_pipeline
from bbn_tf.data.augment import CIFAR10_POLICY, RANDAUGMENT
from bbn_tf.data.augmentations import AUGMENTATIONS as ROWS
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.data.image_operations import OPERATIONS

KEY = tf.constant([1, 2], tf.int64)
AUGMENTATIONS = {name: imported(row.arrays) for name, row in ROWS.items() if row.arrays}
DRAWING = [name for name in AUGMENTATIONS if name != "none"]


def test_policies_of_arrays_and_of_encoded_images():
    assert list(AUGMENTATIONS) == ["basic", "none", "autoaugment_cutout", "randaugment"]
    assert ROWS.having("encoded") == ["basic", "none", "random_resized_crop"]


def noise(count, side=32):
    return np.random.default_rng(0).integers(1, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """List of (operation names, fractions, signs), NumPy arrays, of each call of `transform`, which does nothing."""
    calls = []

    def transform(images, operation, fraction, sign):
        calls.append((np.array(list(OPERATIONS))[operation.numpy()], fraction.numpy(), sign.numpy()))
        return images

    monkeypatch.setattr(augment, "transform", transform)
    return calls


def fits(observed, expected):
    """Whether counts follow the expected ones (dicts) by chi-square; what is expected never must not be there."""
    possible = [name for name, count in expected.items() if count]
    assert set(observed) <= set(possible)
    return scipy.stats.chisquare([observed.get(n, 0) for n in possible], [expected[n] for n in possible]).pvalue > 1e-3


def counted(values):
    return dict(zip(*np.unique(values, return_counts=True), strict=True))


def test_policy_is_the_published_one():
    """25 pairs; each operation as often as in table 7, and the sum of the probabilities there."""
    assert len(CIFAR10_POLICY) == 25 and all(len(policy) == 2 for policy in CIFAR10_POLICY)
    assert counted([name for policy in CIFAR10_POLICY for name, _, _ in policy]) == {
        "Invert": 3, "Contrast": 2, "Rotate": 1, "TranslateX": 2, "Sharpness": 5, "ShearY": 2, "TranslateY": 5,
        "AutoContrast": 7, "Equalize": 9, "Posterize": 1, "Color": 5, "Brightness": 4, "Solarize": 4,
    }  # fmt: skip
    assert all(0 <= p <= 1 and 0 <= level <= 9 for policy in CIFAR10_POLICY for _, p, level in policy)


def test_autoaugment_draws_by_the_policys_probabilities(drawn):
    count = 50_000
    augment.autoaugment(tf.zeros([count, 1, 1, 3], tf.uint8), KEY)
    for place, (names, fractions, signs) in enumerate(drawn):
        expected = dict.fromkeys(OPERATIONS, 0.0)
        for policy in CIFAR10_POLICY:
            name, prob, _ = policy[place]
            expected[name] += prob * count / 25
            expected["Identity"] += (1 - prob) * count / 25
        assert fits(counted(names), expected)
        assert scipy.stats.binomtest(int((signs > 0).sum()), count).pvalue > 1e-3 and set(signs) == {-1, 1}
        for name in set(names) - {"Identity"}:
            levels = {policy[place][2] for policy in CIFAR10_POLICY if policy[place][0] == name}
            assert set(np.round(fractions[names == name] * 9, 4)) <= levels
    # Both of a sub-policy, independently: (Rotate, 0.7) with (TranslateX, 0.3) is the only pair with Rotate.
    rotated = drawn[0][0] == "Rotate"
    assert set(drawn[1][0][rotated]) == {"TranslateX", "Identity"}
    both = int((drawn[1][0][rotated] == "TranslateX").sum())
    assert scipy.stats.binomtest(both, int(rotated.sum()), 0.3).pvalue > 1e-3


def test_randaugment_draws_two_of_fourteen(drawn):
    count = 14_000
    augment.randaugment(tf.zeros([count, 1, 1, 3], tf.uint8), KEY, True)
    assert len(RANDAUGMENT) == 14 and "Invert" not in RANDAUGMENT and len(drawn) == 2
    for names, fractions, signs in drawn:
        assert fits(counted(names), dict.fromkeys(RANDAUGMENT, 1000))
        assert set(fractions) == {np.float32(0.9)} and set(signs) == {-1, 1}
    same = int((drawn[0][0] == drawn[1][0]).sum())  # drawn with replacement
    assert scipy.stats.binomtest(same, count, 1 / 14).pvalue > 1e-3


def test_cutout_by_hand():
    """A rectangle of 8..16 by 8..16; a side's mean over the 32 centres is (8 + ... + 15 + 17 * 16 + 15 + ... + 9) / 32
    = 14."""
    images = np.full((4000, 32, 32, 3), 9, np.uint8)
    hidden = augment.cutout(tf.constant(images), KEY).numpy() == 0
    rows, columns = hidden.any(axis=(2, 3)), hidden.any(axis=(1, 3))
    assert np.array_equal(hidden, np.broadcast_to((rows[:, :, None] & columns[:, None])[..., None], hidden.shape))
    for places in (rows, columns):
        length = places.sum(axis=1)
        first, last = places.argmax(axis=1), 31 - places[:, ::-1].argmax(axis=1)
        assert np.array_equal(last - first + 1, length)  # no gap
        assert np.array_equal(length < 16, (first == 0) & (last < 15) | (last == 31) & (first > 16))
        centres = np.where(first > 0, first + 8, last - 7)
        assert scipy.stats.chisquare(np.bincount(centres, minlength=32)).pvalue > 1e-3
        assert abs(length.mean() - 14) < 0.2
    assert abs(hidden[..., 0].sum(axis=(1, 2)).mean() - 14 * 14) < 4
    assert abs(np.corrcoef(rows.argmax(axis=1), columns.argmax(axis=1))[0, 1]) < 0.06


def test_order_is_crop_policy_cutout(monkeypatch):
    """Cutout's square is black even where the policy inverts all, and then the crop's border is white."""
    invert = list(OPERATIONS).index("Invert")
    real = augment.transform
    monkeypatch.setattr(augment, "autoaugment", lambda images, key: real(
        images, tf.fill([len(images)], invert), tf.zeros(len(images)), tf.ones(len(images))))  # fmt: skip
    result = augment.autoaugment_cutout(tf.fill([200, 32, 32, 3], tf.constant(100, tf.uint8)), KEY, True).numpy()
    assert set(result.ravel()) == {0, 155, 255}
    assert np.all((result[..., 0] == 0).sum(axis=(1, 2)) >= 64)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_key_same_images_eagerly_and_in_tf_data(name):
    images = noise(64)
    eager = AUGMENTATIONS[name](tf.constant(images), KEY, True)
    mapped = tf.data.Dataset.from_tensors(images).map(lambda x: AUGMENTATIONS[name](x, KEY, True))
    assert mapped.element_spec == tf.TensorSpec((64, 32, 32, 3), tf.uint8)
    assert eager.dtype == tf.uint8
    assert np.array_equal(eager, next(iter(mapped)))
    other = AUGMENTATIONS[name](tf.constant(images), KEY + 1, True)
    assert np.array_equal(eager, other) == (name == "none")


@pytest.mark.parametrize("name", DRAWING)
def test_images_of_a_batch_differ(name):
    images = tf.constant(np.repeat(noise(1), 64, axis=0))
    assert len({image.tobytes() for image in AUGMENTATIONS[name](images, KEY, True).numpy()}) > 50


@pytest.mark.parametrize("name", DRAWING)
def test_what_lies_outside_is_black(name, drawn):
    """With the operations taken out, white images get black borders (and squares) and no other value."""
    white = tf.fill([64, 32, 32, 3], tf.constant(255, tf.uint8))
    assert set(AUGMENTATIONS[name](white, KEY, True).numpy().ravel()) == {0, 255}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_resumed_run_draws_the_same(name):
    """What starts at epoch 1 gets what the whole run gets there, in both streams."""
    labels = np.repeat(np.arange(2), [30, 10])
    data = ImageDataset(noise(40), labels, noise(1), labels[:1], ("0", "1"), (0.0,) * 3, (1 / 255,) * 3)

    def images(initial_epoch):
        batches = input_pipeline.training_batches(
            data, 8, sampler="reversed", paired=True, augment=name, seed=7, initial_epoch=initial_epoch, epochs=3
        )
        return np.array([x for x, _ in batches])

    whole, resumed = images(0), images(1)
    assert np.array_equal(whole[5:], resumed)
    assert not np.array_equal(whole[:5], whole[5:10])


@pytest.mark.parametrize("inside_tf_data", [False, True])
def test_crop_and_flip_per_image(inside_tf_data):
    """Every result is one of the 81 windows of the padded image or its mirror, and images differ in theirs."""
    images = np.random.default_rng(0).integers(1, 256, (200, 6, 6, 3), dtype=np.uint8)
    if inside_tf_data:
        one = tf.data.Dataset.from_tensors(images).map(lambda x: augment.crop_and_flip(x, KEY, True))
        cropped = next(iter(one)).numpy()
    else:
        cropped = augment.crop_and_flip(tf.constant(images), KEY, True).numpy()
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)])
    found = []
    for image, result in zip(padded, cropped, strict=True):
        windows = {
            (top, left, flip): image[top : top + 6, left : left + 6][:, :: -1 if flip else 1]
            for top in range(9) for left in range(9) for flip in (False, True)
        }  # fmt: skip
        found += [place for place, window in windows.items() if np.array_equal(window, result)]
    assert len(found) == 200
    tops, lefts, flips = np.array(found).T
    for offsets in (tops, lefts):
        assert scipy.stats.chisquare(np.bincount(offsets, minlength=9)).pvalue > 1e-3
    assert 70 < flips.sum() < 130


def test_no_flip_where_the_data_forbid_it():
    images = tf.constant(np.arange(8, dtype=np.uint8)[None, None, :, None].repeat(64, 0).repeat(8, 1) + 1)
    cropped = augment.crop_and_flip(images, KEY, False).numpy()
    steps = np.diff(cropped.astype(int), axis=2)[cropped[:, :, 1:] * cropped[:, :, :-1] > 0]
    assert set(steps) == {1}  # mirrored they would be -1


@pytest.mark.parametrize("name", ["autoaugment_cutout", "randaugment"])
def test_policies_flip_only_where_the_data_allow_it(name, drawn, monkeypatch):
    monkeypatch.setattr(augment, "cutout", lambda images, key: images)
    images = tf.constant(np.tile(np.arange(1, 33, dtype=np.uint8)[None, None, :, None], (64, 32, 1, 3)))
    for flip, expected in ((False, {1}), (True, {1, -1})):
        result = AUGMENTATIONS[name](images, KEY, flip).numpy().astype(int)
        assert set(np.diff(result, axis=2)[result[:, :, 1:] * result[:, :, :-1] > 0]) == expected


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_mirrors(name):
    """A bright edge at the left stays left of the middle, at both ends of the range."""
    images = np.full((2, 32, 32, 3), 128, np.uint8)  # as what a move leaves empty
    images[:, :, 8:12] = 220
    operation = tf.fill([2], list(OPERATIONS).index(name))
    result = augment.transform(tf.constant(images), operation, tf.ones(2), tf.constant([1.0, -1.0])).numpy()
    left, right = result[:, 12:20, :16, 0], result[:, 12:20, 16:, 0]
    assert name == "TranslateX" or np.all(left.std(axis=(1, 2)) > right.std(axis=(1, 2)))
