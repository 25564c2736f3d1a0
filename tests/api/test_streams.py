import numpy as np
import pytest
import tensorflow as tf

import bbn_tf
from bbn_tf.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 8, 8, 3), dtype="uint8")
LABELS = np.repeat([0, 1, 2], [30, 15, 5])
OPTIONS = {"backbone": "resnet8", "batch_size": 12, "augment": "none", "seed": 3}
IMAGENET = np.array([(0.485, 0.456, 0.406), (0.229, 0.224, 0.225)])


def batches(data, epochs=1):
    """Arrays (x_c, x_r, y_c, y_r), all batches one after the other."""
    made = [tf.nest.flatten(batch) for batch in data.batches(0, epochs).as_numpy_iterator()]
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


def places_of(drawn, mean, std):
    """Which of `IMAGES` each standardised image is."""
    values = np.round(255 * (drawn * std + mean)).astype(np.uint8)
    return [int(np.flatnonzero((image == IMAGES).all(axis=(1, 2, 3)))[0]) for image in values]


def test_arrays_come_as_two_streams_with_their_labels():
    data = bbn_tf.streams(IMAGES, LABELS, **OPTIONS)
    facts = (data.num_classes, data.class_counts.tolist(), data.input_shape, data.steps_per_epoch)
    assert facts == (3, [30, 15, 5], (8, 8, 3), 4)
    conventional, rebalancing, *labels = batches(data, 5)
    places = places_of(conventional, *IMAGENET)
    assert [len(set(places[start : start + 48])) for start in range(0, 240, 48)] == [48] * 5  # once an epoch
    np.testing.assert_array_equal(labels[0], LABELS[places])
    np.testing.assert_array_equal(labels[1], LABELS[places_of(rebalancing, *IMAGENET)])
    drawn = np.bincount(labels[1], minlength=3) / 240
    np.testing.assert_allclose(drawn, np.array([1, 2, 6]) / 9, atol=0.12)  # four standard deviations
    first, *_ = data.dataset.take(1).as_numpy_iterator()
    np.testing.assert_array_equal(first[0][0], conventional[:12])
    resumed = np.concatenate([x[0] for x, _ in data.batches(4, 5)])
    np.testing.assert_array_equal(resumed, conventional[192:])


def test_a_function_reads_what_is_drawn_and_nothing_else():
    seen = []

    def read(name):
        seen.append(int(name))
        return IMAGES[int(name)]

    data = bbn_tf.streams([str(place) for place in range(50)], LABELS, read=read, **OPTIONS)
    assert seen == [0]  # for the shape
    read_ones = batches(data, 2)
    expected = batches(bbn_tf.streams(IMAGES, LABELS, **OPTIONS), 2)
    for one, other in zip(read_ones, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    drawn = places_of(np.concatenate(expected[:2]), *IMAGENET)
    assert sorted(seen[1:]) == sorted(drawn) and len(drawn) == 2 * 2 * 48


@pytest.mark.parametrize("size", [None, 7])
def test_a_tf_data_dataset_is_read_into_memory(size, capsys):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    data = bbn_tf.streams(dataset if size is None else dataset.batch(size), **OPTIONS)
    np.testing.assert_array_equal(data.images.train_items, IMAGES)
    np.testing.assert_array_equal(data.images.train_labels, LABELS)
    assert capsys.readouterr().out == "note: 50 images of 8 x 8 pixels read into memory: 0.0 MB\n"


def test_images_are_standardised_for_the_backbone():
    data = bbn_tf.streams(IMAGES, LABELS, **{**OPTIONS, "backbone": "keras:MobileNetV3Small"})
    assert (data.mean, data.std) == ((0.5,) * 3, (0.5,) * 3)
    assert sorted(places_of(batches(data)[0], 0.5, 0.5))[-1] >= 48


def test_images_are_augmented():
    data = bbn_tf.streams(IMAGES, LABELS, **{**OPTIONS, "augment": "basic"})
    read = bbn_tf.streams(range(50), LABELS, read=IMAGES.__getitem__, **{**OPTIONS, "augment": "basic"})
    black = (0 - IMAGENET[0]) / IMAGENET[1]
    for one in (data, read):
        padded = [np.isclose(image, black, atol=1e-5).all(axis=-1).sum() for image in batches(one)[0]]
        assert np.mean(np.array(padded) >= 8) > 0.5  # a row or a column of the border: of 81 places one has none


def labels_with(**changes):
    changed = LABELS.copy()
    for place, label in changes.items():
        changed[int(place[1:])] = label
    return changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": None}, "labels: must be given"),
        ({"labels": LABELS / 1}, r"labels: must be \[N\] whole numbers from 0; received float64 \[50\]"),
        ({"labels": np.eye(3)[LABELS].astype(int)}, r"labels: must be \[N\] whole .* received int64 \[50, 3\]"),
        ({"labels": ["cat"] * 50}, r"labels: must be \[N\] whole numbers from 0; received <U3 \[50\]"),
        ({"labels": LABELS[:49]}, "labels: must be as many as images, 50; received 49"),
        ({"labels": labels_with(_3=-1)}, "labels: must be whole numbers from 0; received -1"),
        ({"labels": LABELS + 1}, "labels: class 0 has no image; must be from 0 to C - 1, every class with an image"),
        ({"labels": labels_with(_3=7)}, "labels: class 3 has no image"),
        ({"images": IMAGES / 255}, r"images: must be uint8, from 0 to 255; received float64 \[50, 8, 8, 3\]"),
        ({"images": IMAGES[..., 0]}, r"images: must be uint8 \[N, H, W, 3\]; received uint8 \[50, 8, 8\]"),
        ({"images": IMAGES[..., :1]}, r"images: must be uint8 \[N, H, W, 3\]; received uint8 \[50, 8, 8, 1\]"),
        ({"images": ["a.jpg"] * 50}, "images: must be .*, or have read=, a function that reads one image"),
        ({"images": [IMAGES[0], IMAGES[1, 1:]]}, "images: must all have one shape"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "images: must be at least one"),
        ({"backbone": "resnet33"}, r"backbone='resnet33': must be one of .* \(similar: resnet3"),
        ({"augment": "random_resized_crop"}, "augment='random_resized_crop': must be one of basic, none, autoaug"),
        ({"sampler": "rare"}, "sampler='rare': must be one of uniform, balanced, reversed"),
        ({"batch_size": 51}, "batch_size=51: must be from 1 to 50, the number of images"),
        ({"batch_size": 1.5}, "batch_size=1.5: must be from 1"),
        *(({"seed": seed}, f"^seed={seed}: must be a whole number, at least 0") for seed in (None, 1.5, -1, True)),
        ({"read": "x"}, "read='x': must be a function"),
        ({"read": lambda image: image / 255}, r"read: must return uint8 \[H, W, 3\]; received float64 \[8, 8, 3\]"),
        ({"images": tf.data.Dataset.range(3)}, "labels: has no meaning with a tf.data dataset"),
        ({"images": tf.data.Dataset.range(3), "labels": None}, r"a tf.data dataset must have elements \(uint8"),
        (
            {"images": tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).take(0), "labels": None},
            "^images: must be at least one; the tf.data dataset has none",
        ),
        (
            {"images": tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat(), "labels": None},
            "images: the tf.data dataset has no end; leave out its repeat",
        ),
    ],
)
def test_a_mistake_costs_one_line(arguments, message):
    with pytest.raises(UserError, match=message) as error:
        bbn_tf.streams(**{"images": IMAGES, "labels": LABELS, **OPTIONS, **arguments})
    assert "\n" not in str(error.value)


def test_an_image_of_another_shape_is_named_when_it_is_read():
    data = bbn_tf.streams(range(50), LABELS, read=lambda place: IMAGES[place, : 7 if place == 9 else 8], **OPTIONS)
    with pytest.raises(tf.errors.OpError, match=r"must return the first one's shape, \[8, 8, 3\]; received .* for 9"):
        batches(data, 3)
