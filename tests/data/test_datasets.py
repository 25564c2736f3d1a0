import dataclasses
import os
import urllib.error

import numpy as np
import pytest

from bbn_tf.choices import Choice
from bbn_tf.data import datasets, input_pipeline, long_tail, small_sets, tfds_records
from bbn_tf.errors import UserError


def prepared(name):
    """Whether TFDS has the data set on this machine."""
    import tensorflow_datasets as tfds

    return tfds.builder(name).is_prepared()


def test_digits():
    """About IF 50 out of 110 images a class; a balanced test set of other images; whole-number 4x enlargement."""
    data = datasets.load("digits_lt", imbalance_factor=50)
    assert data.class_counts.tolist() == [110, 71, 46, 29, 19, 12, 8, 5, 3, 2]
    assert np.bincount(data.eval_labels).tolist() == [60] * 10
    assert data.train_items.shape == (305, 32, 32, 3) and data.train_items.dtype == np.uint8
    small = data.train_items[:, ::4, ::4, :1]
    assert np.array_equal(small.repeat(4, 1).repeat(4, 2).repeat(3, 3), data.train_items)
    assert data.train_items.max() == 255 and not data.horizontal_flip
    assert not {x.tobytes() for x in data.train_items} & {x.tobytes() for x in data.eval_items}


def test_digits_mean_and_std_are_the_images_own():
    data = datasets.load("digits_lt", imbalance_factor=1)
    scaled = data.train_items / 255
    assert data.mean[0] == pytest.approx(scaled.mean(), abs=0.005)
    assert data.std[0] == pytest.approx(scaled.std(), abs=0.005)


def test_imbalance_seed_changes_images_not_counts():
    first, same, other = (datasets.load("digits_lt", imbalance_factor=50, imbalance_seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.train_items, same.train_items)
    assert np.array_equal(first.train_labels, other.train_labels)
    assert not np.array_equal(first.train_items, other.train_items)


def test_validation_comes_out_of_the_training_images():
    whole = datasets.load("digits_lt", imbalance_factor=50)
    data = datasets.load("digits_lt", imbalance_factor=50, validation_fraction=0.2, seed=3)
    # round() of a fifth of [110, 71, 46, 29, 19, 12, 8, 5, 3, 2], but at least one.
    assert np.bincount(data.eval_labels).tolist() == [22, 14, 9, 6, 4, 2, 2, 1, 1, 1]
    assert (data.class_counts + np.bincount(data.eval_labels)).tolist() == whole.class_counts.tolist()
    parts = sorted(x.tobytes() for x in [*data.train_items, *data.eval_items])
    assert parts == sorted(x.tobytes() for x in whole.train_items)


def test_unprepared_data_cost_one_line_and_no_retries_without_a_network(tmp_path, monkeypatch):
    """TFDS would retry for over a minute: whether the home page answers is asked first, for five seconds."""
    import tensorflow_datasets as tfds

    def refuse(request, timeout):
        assert (request.full_url, timeout) == ("https://www.cs.toronto.edu/~kriz/cifar.html", 5)
        raise urllib.error.URLError("unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda builder: pytest.fail("downloads"))
    with pytest.raises(
        UserError, match=r"cifar10 is not prepared in .*unreachable.*`tfds build cifar10 --data_dir=.*--data_dir"
    ):
        datasets.load("cifar10_lt", data_dir=str(tmp_path), imbalance_factor=50)


@pytest.fixture(scope="module")
def cifar10():
    if not prepared("cifar10"):
        pytest.skip("cifar10 is not prepared")
    return small_sets.cifar10()


def test_cifar10_lt(cifar10, monkeypatch):
    """Class counts, names, balanced test set; LDAM's recipe on the published order, which is that of the ids."""
    import tensorflow_datasets as tfds

    full = cifar10
    monkeypatch.setitem(datasets.DATASETS, "cifar10_lt", Choice(lambda data_dir: full))
    data = datasets.load("cifar10_lt", imbalance_factor=100)
    assert data.class_counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert data.class_names[:2] == ("airplane", "automobile")
    assert np.bincount(data.eval_labels).tolist() == [1000] * 10
    airplanes = np.flatnonzero(full.train_labels == 0)
    np.random.RandomState(0).shuffle(airplanes)
    assert np.array_equal(data.train_items[:5000], full.train_items[airplanes])
    test = tfds.load("cifar10", split="test").filter(lambda example: example["id"] == b"test_00000")
    (first,) = test.as_numpy_iterator()
    assert np.array_equal(full.eval_items[0], first["image"])


def test_cifar10_says_which_copy_it_is(cifar10):
    """So that a run notices another one; the long tail of it is of the same copy."""
    assert (cifar10.origin.name, cifar10.origin.version, cifar10.origin.splits) == (
        "cifar10_lt",
        "cifar10",
        "train,test",
    )
    assert (
        len({cifar10.origin.train, cifar10.origin.eval}) == 2 and cifar10.keep(np.arange(20)).origin == cifar10.origin
    )


def test_cifar10_is_the_same_by_either_name(cifar10):
    """A long tail of its test images, and the crops that are drawn of them, before they are standardised."""
    as_training = {"train_items": cifar10.eval_items, "train_labels": cifar10.eval_labels}
    kept = [tfds_records.load(None, "cifar10", ("test", "train[:100]")), dataclasses.replace(cifar10, **as_training)]
    counts = [1000, 500, 250, 125, 60, 30, 15, 8, 4, 2]
    kept = [data.keep(long_tail.subset_indices(data.train_labels, counts, 0)) for data in kept]
    np.testing.assert_array_equal(kept[0].train_items, kept[1].train_items)
    np.testing.assert_array_equal(kept[0].train_labels, kept[1].train_labels)
    assert kept[0].class_names == kept[1].class_names and len(kept[0].train_labels) == sum(counts)
    crops = []
    for data in kept:
        batches = input_pipeline.training_batches(
            data, 128, sampler="reversed", paired=True, augment="basic", seed=1, initial_epoch=0, epochs=1
        )
        (images, _), _ = next(iter(batches))
        crops.append(np.round((images.numpy() * data.std + data.mean) * 255))
    np.testing.assert_array_equal(*crops)


@pytest.mark.skipif("not prepared('cifar100')")
def test_cifar100_lt():
    data = datasets.load("cifar100_lt", imbalance_factor=10)
    assert len(data.train_labels) == 19_573 and data.num_classes == 100
    assert data.class_counts[0] == 500 and data.class_counts[-1] == 50
    assert data.class_names[0] == "apple"
    assert np.bincount(data.eval_labels).tolist() == [100] * 100


def test_unreadable_data_dir(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=os.path.join(str(tmp_path), "file")):
        datasets.load("cifar10_lt", data_dir=str(tmp_path / "file"), imbalance_factor=50)
