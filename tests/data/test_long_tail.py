import numpy as np
import pytest

from bbn_tf.data import long_tail
from bbn_tf.errors import UserError


@pytest.mark.parametrize(
    ("max_count", "num_classes", "imbalance_factor", "total"),
    [
        (5000, 10, 100, 12_406),
        (5000, 10, 50, 13_996),
        (5000, 10, 10, 20_431),
        (500, 100, 100, 10_847),
        (500, 100, 50, 12_608),
        (500, 100, 10, 19_573),
    ],
)
def test_totals_of_the_papers_six_sets(max_count, num_classes, imbalance_factor, total):
    counts = long_tail.class_counts(max_count, num_classes, imbalance_factor)
    assert counts.sum() == total
    assert counts[0] == max_count and counts[-1] == max_count // imbalance_factor
    assert np.all(np.diff(counts) <= 0)


def test_cifar10_at_100():
    counts = long_tail.class_counts(5000, 10, 100)
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_step_profile_halves():
    assert long_tail.class_counts(500, 5, 10, "step").tolist() == [500, 500, 50, 50, 50]


def test_factor_one_keeps_all():
    assert set(long_tail.class_counts(500, 10, 1)) == {500}


def test_empty_class_is_refused():
    assert long_tail.class_counts(110, 10, 110)[-1] == 1
    with pytest.raises(UserError, match="--imbalance_factor=111: .*at most 110"):
        long_tail.class_counts(110, 10, 111)


def test_subset_is_ldams():
    """The published recipe, spelled out with the global generator it uses."""
    labels = np.random.default_rng(3).integers(0, 4, 400)
    counts = [50, 20, 7, 1]
    state = np.random.get_state()
    np.random.seed(5)
    expected = []
    for label, count in enumerate(counts):
        indices = np.where(labels == label)[0]
        np.random.shuffle(indices)
        expected.extend(indices[:count])
    np.random.set_state(state)
    actual = long_tail.subset_indices(labels, counts, seed=5)
    assert actual.tolist() == expected
    assert np.bincount(labels[actual]).tolist() == counts
    assert actual.tolist() != long_tail.subset_indices(labels, counts, seed=6).tolist()


def test_subset_of_too_few():
    with pytest.raises(UserError, match="class 1 has 1 images, 2 are wanted"):
        long_tail.subset_indices(np.array([0, 0, 1]), [1, 2], seed=0)


def test_stratified_split_by_hand():
    labels = np.repeat([0, 1, 2, 3], [100, 10, 2, 1])
    train, held_out = long_tail.stratified_split(labels, 0.2, seed=0)
    assert np.bincount(labels[held_out], minlength=4).tolist() == [20, 2, 1, 0]
    assert sorted([*train, *held_out]) == list(range(113))
    again, other = (long_tail.stratified_split(labels, 0.2, seed=s)[1] for s in (0, 1))
    assert held_out.tolist() == again.tolist() != other.tolist()


def test_groups_at_their_bounds():
    groups = long_tail.groups([101, 100, 20, 19])
    assert {name: mask.tolist() for name, mask in groups.items()} == {
        "many": [True, False, False, False],
        "medium": [False, True, True, False],
        "few": [False, False, False, True],
    }
