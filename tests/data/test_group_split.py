"""Groups stay on one side, whatever their classes."""

import numpy as np

from bbn_tf.data import group_split


def test_groups_stay_whole_and_classes_get_their_share():
    """100, 30 and 8 images in groups of 2; a fifth is 20, 6 and 2, which whole groups give exactly."""
    labels = np.repeat([0, 1, 2], [100, 30, 8])
    groups = [f"p{i // 2}" for i in range(138)]
    held = group_split.held_out(groups, labels, 0.2, "test", 0)
    assert np.array_equal(held[::2], held[1::2]) and np.bincount(labels[held]).tolist() == [20, 6, 2]
    for other in (
        group_split.held_out(groups, labels, 0.2, "validation", 0),
        group_split.held_out(groups, labels, 0.2, "test", 1),
    ):
        assert not np.array_equal(held, other)


def test_other_groups_have_no_say():
    """The same groups are held out in another order of the images; a new group of one class moves no other class."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    groups = np.array([f"p{i // 3}" for i in range(120)])
    held = group_split.held_out(groups, labels, 0.3, "test", 0)
    order = rng.permutation(120)
    np.testing.assert_array_equal(group_split.held_out(groups[order], labels[order], 0.3, "test", 0), held[order])
    more = group_split.held_out([*groups, "new"], np.append(labels, 1), 0.3, "test", 0)
    np.testing.assert_array_equal(more[:60], held[:60])
    assert np.count_nonzero(more[60:120] != held[60:]) <= 3


def test_a_group_of_two_classes():
    """Patient a has all images of class 1 but one: held out, it would leave class 1 that one; so does every seed."""
    labels, groups = np.array([0, 1, 1, 1, 0, 0, 1]), np.array(list("aaaabbc"))
    for seed in range(20):
        held = group_split.held_out(groups, labels, 0.2, "test", seed)
        assert len(set(groups[held])) >= 1 and np.bincount(labels[~held], minlength=2).min() >= 1
        assert all(len(set(held[groups == group])) == 1 for group in "abc")


def test_a_class_in_one_group_stays_to_be_trained_on():
    labels, groups = np.array([0, 0, 0, 1, 1]), ["a", "b", "c", "d", "d"]
    held = group_split.held_out(groups, labels, 0.5, "test", 0)
    assert not held[3:].any() and np.count_nonzero(held[:3]) == 2
