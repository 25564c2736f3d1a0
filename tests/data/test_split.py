"""The split by hash: how many are held out, and that a photo more or less moves at most one other."""

import hashlib

import numpy as np
import pytest

from bbn_tf.data import split


def held(names, fraction=0.2, purpose="test", seed=0):
    """The names that are held out of one class."""
    chosen = split.held_out(names, np.zeros(len(names), np.int64), fraction, purpose, seed)
    return {name for name, out in zip(names, chosen, strict=True) if out}


def photos(count):
    return [f"IMG_{number:04}.jpg" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "fraction", "expected"),
    [
        (1, 0.2, 0),
        (2, 0.2, 1),
        (3, 0.2, 1),
        (10, 0.2, 2),
        (13, 0.2, 3),
        (2, 0.9, 1),
        (10, 0.99, 9),
        (100, 0.001, 1),
    ],
)
def test_how_many(count, fraction, expected):
    assert len(held(photos(count), fraction)) == expected


def test_the_first_by_hash():
    """Of five names the one whose hash of purpose, seed and name is the smallest."""

    def place(name):
        digest = hashlib.blake2b(f"validation/3/{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little")

    assert held(photos(5), purpose="validation", seed=3) == {min(photos(5), key=place)}


def test_order_of_the_names_has_no_say():
    names = photos(50)
    assert held(names) == held(names[::-1])


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5, 0.9])
def test_one_less_moves_at_most_one_other(fraction):
    for count in (2, 3, 10, 41):
        names = photos(count)
        whole = held(names, fraction)
        for gone in names:
            left = [name for name in names if name != gone]
            assert len((held(left, fraction) ^ whole) - {gone}) <= 1


def test_other_classes_do_not_move():
    names, labels = photos(30) + photos(7), np.repeat([0, 1], [30, 7])
    both = split.held_out(names, labels, 0.2, "test", 0)
    assert {n for n, out in zip(names[30:], both[30:], strict=True) if out} == held(photos(7))
    mixed = np.random.default_rng(0).permutation(37)
    shuffled = split.held_out([names[i] for i in mixed], labels[mixed], 0.2, "test", 0)
    assert shuffled.tolist() == both[mixed].tolist()


def test_purpose_and_seed_have_a_say():
    names = photos(200)
    sets = [held(names), held(names, seed=1), held(names, purpose="validation")]
    for i in range(3):
        assert len(sets[i]) == 40 and len(sets[i] & sets[i - 1]) < 20  # 8 are expected by chance


def test_any_name_can_be_hashed():
    assert len(held(["\udcff.jpg", "ö/ß.jpg", "a\nb.jpg"])) == 1


def test_no_class_and_a_class_without_images():
    assert split.held_out([], np.array([], np.int64), 0.2, "test", 0).tolist() == []
    assert split.held_out(photos(2), np.array([0, 2]), 0.5, "test", 0).tolist() == [False, False]
