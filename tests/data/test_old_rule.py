"""The images of runs of older versions: the very split they had, by position, old endings and old order."""

import numpy as np
import pytest

from bbn_tf.data import datasets
from bbn_tf.errors import UserError
from tests.image_files import write_tree, write_two_trees


def load(root, **settings):
    return datasets.load("folder", data_dir=str(root), image_size=32, **settings)


def names(paths):
    return [b"/".join(path.split(b"/")[-2:]).decode() for path in paths]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    write_tree(root, {"ant": 10, "bee": 5, "cat": 3})
    return root


def test_one_tree_by_position(photos, capsys):
    """One stream of NumPy's legacy generator over the classes: of 10, 5 and 3 images 2, 1 and 1."""
    rng = np.random.RandomState(0)
    expected = [
        np.sort(rng.permutation(np.arange(first, last))[:count])
        for first, last, count in ((0, 10, 2), (10, 15, 1), (15, 18, 1))
    ]
    files = sorted(f"{path.parent.name}/{path.name}" for path in photos.rglob("*.*"))
    data = load(photos, old=True)
    assert names(data.eval_items) == [files[i] for i in np.concatenate(expected)]
    assert names(data.train_items) == [files[i] for i in range(18) if i not in np.concatenate(expected)]
    assert (
        "as older versions kept none: photos that were added or removed since can't be seen" in capsys.readouterr().out
    )
    assert names(load(photos).eval_items) != names(data.eval_items)


def test_held_out_by_position(photos):
    """First the test images, then, of those left, the validation images with the run's seed."""
    one = load(photos, old=True, split_seed=4, test_fraction=0.4)
    rng = np.random.RandomState(7)
    kept = [np.flatnonzero(one.train_labels == label) for label in range(3)]
    held_out = np.sort(np.concatenate([rng.permutation(k)[: round(0.5 * len(k))] for k in kept]))
    data = load(photos, old=True, split_seed=4, test_fraction=0.4, validation_fraction=0.5, seed=7)
    assert names(data.eval_items) == names(one.train_items[held_out]) and data.evaluated_on == "validation"


def test_two_trees_and_old_endings(tmp_path):
    root = write_two_trees(tmp_path / "two")
    before = load(root, old=True)
    for part in ("train", "test"):
        (root / part / "ant" / "new.bmp").write_bytes((root / "test" / "bee" / "00.jpg").read_bytes())
        (root / part / "ant" / "@eaDir").mkdir()
        (root / part / "ant" / "@eaDir" / "x.jpg").write_bytes((root / "test" / "bee" / "00.jpg").read_bytes())
    after = load(root, old=True)
    assert before.class_counts.tolist() == [24, 9, 3] and after.class_counts.tolist() == [25, 9, 3]  # no .bmp
    assert b"@eaDir/x.jpg" in after.train_items[24]


def test_old_classes_in_their_old_order(tmp_path):
    """By their names as they are written on the disk, NFD or not."""
    write_tree(tmp_path, {"ant": 3, "bee": 3})
    (tmp_path / "bee").rename(tmp_path / "a\u0308")
    assert load(tmp_path, old=True).class_names == ("ant", "a\u0308")


def test_damage(tmp_path):
    write_tree(tmp_path, {"ant": 4, "bee": 3})
    (tmp_path / "ant" / "01.png").write_bytes(b"")
    with pytest.raises(UserError, match="1 of 7 image files can't be read: ant/01.png .empty"):
        load(tmp_path, old=True)
    assert len(load(tmp_path, old=True, skip_unreadable=True).files()) == 6


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="can't be read|holds no image file"):
        load(tmp_path / "gone", old=True)
