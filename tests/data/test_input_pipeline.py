import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from bbn_tf.data import input_pipeline, long_tail, readers, samplers
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.data.small_sets import CIFAR_MEAN, CIFAR_STD
from bbn_tf.training import evaluation as evaluate

SEED = 7


def take(dataset, count):
    return [tuple(map(np.asarray, e)) if isinstance(e, tuple) else e.numpy() for e in dataset.take(count)]


def numbered_dataset(num_examples=50, num_classes=5, flip=True):
    """Image i is all of value i + 1; labels fall off from head to tail."""
    labels = np.int64(num_classes * (np.arange(num_examples) / num_examples) ** 2)
    images = np.broadcast_to(
        np.arange(1, num_examples + 1, dtype=np.uint8)[:, None, None, None], (num_examples, 8, 8, 3)
    )
    names = tuple(str(i) for i in range(labels.max() + 1))
    return ImageDataset(images, labels, images, labels, names, (0.0,) * 3, (1 / 255,) * 3, flip)


def batches(dataset, **settings):
    defaults = {"sampler": "reversed", "paired": True, "augment": "none", "seed": SEED, "initial_epoch": 0, "epochs": 2}
    return input_pipeline.training_batches(dataset, 8, **{**defaults, **settings})


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
@pytest.mark.parametrize(
    ("max_count", "num_classes", "imbalance_factor"), [(5000, 10, 10), (5000, 10, 100), (500, 100, 10), (500, 100, 100)]
)
def test_class_frequencies_follow_the_law(sampler, max_count, num_classes, imbalance_factor):
    """Chi-square against Eq. 4 (and the other samplers' laws); indices within a class uniform too."""
    counts = long_tail.class_counts(max_count, num_classes, imbalance_factor)
    labels = np.repeat(np.arange(num_classes), counts)
    probs = samplers.SAMPLERS[sampler](counts)
    stream = input_pipeline.resampled_indices(labels, probs, 1000, seed=SEED, epoch=3)
    drawn = np.concatenate(take(stream, 40))
    observed = np.bincount(labels[drawn], minlength=num_classes)
    assert scipy.stats.chisquare(observed, probs * len(drawn)).pvalue > 1e-3
    tail = num_classes - 1
    within = np.bincount(drawn[labels[drawn] == tail] - counts[:tail].sum(), minlength=counts[tail])
    assert scipy.stats.chisquare(within).pvalue > 1e-3


def test_chi_square_would_notice_another_law():
    """The test above has the power to tell the reversed from the balanced sampler."""
    counts = long_tail.class_counts(500, 10, 10)
    labels = np.repeat(np.arange(10), counts)
    stream = input_pipeline.resampled_indices(labels, samplers.balanced(counts), 1000, seed=SEED, epoch=0)
    observed = np.bincount(labels[np.concatenate(take(stream, 10))])
    assert scipy.stats.chisquare(observed, samplers.reversed_(counts) * 10_000).pvalue < 1e-9


def test_same_law_as_rejection_resample():
    counts = np.array([60, 30, 10])
    labels = np.repeat(np.arange(3), counts)
    probs = samplers.reversed_(counts)
    pairs = tf.data.Dataset.from_tensor_slices((np.arange(100), labels)).shuffle(100, seed=1).repeat()
    theirs = pairs.rejection_resample(lambda _, label: label, probs.astype(np.float32), counts / 100, seed=2)
    theirs = np.array([label for label, _ in theirs.take(4000).as_numpy_iterator()])
    ours = input_pipeline.resampled_indices(labels, probs, 1000, seed=SEED, epoch=0)
    ours = labels[np.concatenate(take(ours, 4))]
    table = [np.bincount(theirs, minlength=3), np.bincount(ours, minlength=3)]
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


def test_uniform_stream_is_a_fresh_permutation():
    epochs = []
    for epoch in (0, 1):
        stream = take(input_pipeline.uniform_indices(100, 8, seed=SEED, epoch=epoch), -1)
        assert len(stream) == 12  # the last 4 of 100 are dropped
        epochs.append(np.concatenate(stream))
        assert len(set(epochs[-1])) == 96
    whole = np.concatenate(take(input_pipeline.uniform_indices(96, 8, seed=SEED, epoch=0), -1))
    assert sorted(whole) == list(range(96))
    assert not np.array_equal(*epochs)


def test_pairs_have_their_structure_and_images_their_labels():
    data = numbered_dataset()
    elements = list(batches(data))
    assert len(elements) == 2 * (50 // 8)
    for images, labels in elements:
        for x, y in zip(images, labels, strict=True):
            assert x.shape == (8, 8, 8, 3) and x.dtype == tf.float32
            assert y.shape == (8,) and y.dtype == tf.int64
            index = np.rint(x.numpy()[:, 0, 0, 0]).astype(int) - 1
            assert np.array_equal(data.train_labels[index], y)


def test_conventional_images_are_seen_once_an_epoch():
    elements = list(batches(numbered_dataset()))
    first = np.concatenate([x[0].numpy()[:, 0, 0, 0] for x, _ in elements[:6]])
    assert len(set(first)) == 48


def test_plain_stream():
    data = numbered_dataset()
    x, y = next(iter(batches(data, paired=False, sampler="uniform")))
    index = np.rint(x.numpy()[:, 0, 0, 0]).astype(int) - 1
    assert np.array_equal(data.train_labels[index], y)
    drawn = np.concatenate([y for _, y in batches(data, paired=False, sampler="reversed", epochs=100)])
    expected = samplers.reversed_(data.class_counts) * len(drawn)
    assert scipy.stats.chisquare(np.bincount(drawn), expected).pvalue > 1e-3


def test_draws_depend_on_seed_epoch_and_step_only():
    """What starts at epoch 1 draws what the whole run draws there, augmentation included."""

    def flat(**settings):
        return [np.concatenate([np.ravel(t) for t in tf.nest.flatten(e)])
                for e in batches(numbered_dataset(), augment="basic", **settings)]  # fmt: skip

    whole, resumed, other = flat(epochs=3), flat(initial_epoch=1, epochs=3), flat(seed=8)
    assert len(whole) == 18 and len(resumed) == 12
    for expected, actual in zip(whole[6:], resumed, strict=True):
        assert np.array_equal(expected, actual)
    assert not np.array_equal(whole[0], other[0])
    assert not np.array_equal(whole[0], whole[6])


def test_normalise_by_hand_and_border_is_black():
    image = np.full((1, 1, 1, 3), 255, np.uint8)
    expected = [(1 - m) / s for m, s in zip(CIFAR_MEAN, CIFAR_STD, strict=True)]
    np.testing.assert_allclose(np.ravel(readers.normalise(image, CIFAR_MEAN, CIFAR_STD)), expected, rtol=1e-6)
    data = numbered_dataset()
    data = ImageDataset(data.train_items, data.train_labels, data.eval_items, data.eval_labels,
                        data.class_names, CIFAR_MEAN, CIFAR_STD)  # fmt: skip
    values = np.concatenate([x[0].numpy().reshape(-1, 3) for x, _ in batches(data, augment="basic")])
    black = [-m / s for m, s in zip(CIFAR_MEAN, CIFAR_STD, strict=True)]
    np.testing.assert_allclose(values.min(axis=0), black, rtol=1e-6)


def test_evaluation_is_whole_and_in_order():
    data = numbered_dataset()
    seen = [x.numpy()[:, 0, 0, 0] for x in input_pipeline.ordered_batches(data, "eval", 16)]
    assert [len(x) for x in seen] == [16] * 4  # full batches: the last image comes again
    np.testing.assert_allclose(np.concatenate(seen), [*range(1, 51), *[50] * 14], rtol=1e-6)


def test_evaluation_batches_are_full_and_shared():
    """None too large, all a multiple of 32, little of the last one for nothing."""
    assert evaluate.batch_size(600, (32, 32, 3)) == 320  # twice, for 640
    assert evaluate.batch_size(10_000, (32, 32, 3)) == 512
    assert evaluate.batch_size(24_426, (224, 224, 3)) == 128
    assert evaluate.batch_size(1, (32, 32, 3)) == 32
    assert evaluate.batch_size(437_513, (2048,)) == 512
