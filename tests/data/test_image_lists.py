"""A data set of lists: which images it has, on which side, and which lists do not fit each other or the images."""

import json
import os
import re

import numpy as np
import pytest

from bbn_tf.data import image_lists, input_pipeline, record
from bbn_tf.errors import UserError
from tests.image_files import write_tree

COUNTS = {"ant": 24, "bee": 9, "cat": 3}
FORMATS = ("jpg", "png", "webp")
TRAIN = [
    (f"{name}/{i:02}.{FORMATS[i % 3]}", label) for label, name in enumerate(COUNTS) for i in range(COUNTS[name] - 1)
]
TEST = [(f"{name}/{i:02}.{FORMATS[i % 3]}", label) for label, name in enumerate(COUNTS) for i in [COUNTS[name] - 1]]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """36 images in all, of which the lists train on 33 and evaluate on 3."""
    folder = tmp_path_factory.mktemp("images")
    write_tree(folder, COUNTS)
    return folder


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Function (name, images, format) that writes a list; the working directory is where they lie."""
    monkeypatch.chdir(tmp_path)

    def write(name, images, line="{} {}"):
        (tmp_path / name).write_text("".join(line.format(*image) + "\n" for image in images))
        return name

    write("train.txt", TRAIN)
    write("test.txt", TEST)
    return write


def load(root, train="train.txt", test="test.txt", **settings):
    return image_lists.load(str(root), 32, train_list=train, eval_list=test, **settings)


def test_two_lists(root, lists):
    data = load(root, expect_images=(33, 3))
    assert data.class_names == ("0", "1", "2") and data.class_counts.tolist() == [23, 8, 2]
    assert data.eval_labels.tolist() == [0, 1, 2] and data.input_shape == (32, 32, 3)
    assert data.train_items[:2].tolist() == [f"{root}/ant/00.jpg".encode(), f"{root}/ant/01.png".encode()]
    assert data.eval_items.tolist() == [f"{root}/{path}".encode() for path, _ in TEST]


def test_images_have_their_labels_colour(root, lists):
    batches = input_pipeline.training_batches(
        load(root), 8, sampler="reversed", paired=True, augment="basic", seed=1, initial_epoch=0, epochs=1
    )
    for images, labels in batches:
        for x, y in zip(images, labels, strict=True):
            colour = x.numpy().mean(axis=(1, 2)) * (0.229, 0.224, 0.225) + (0.485, 0.456, 0.406)
            assert np.array_equal(colour.argmax(axis=1), y)


def test_csv_with_names(root, lists):
    names = list(COUNTS)
    rows = [(path, names[label]) for path, label in TRAIN]
    lists("train.csv", [("file", "class"), *rows], "{},{}")
    lists("names.txt", [("cat",), ("bee",), ("ant",)], "{}")
    columns = ("file", "class")
    data = load(root, "train.csv", None, list_columns=columns)
    assert data.class_names == ("ant", "bee", "cat")
    data = load(root, "train.csv", None, list_columns=columns, class_names="names.txt")
    assert data.class_names == ("cat", "bee", "ant") and data.train_labels[0] == 2


def test_json(root, lists, tmp_path):
    for name, images in (("train", TRAIN), ("test", TEST)):
        annotations = [{"image_id": i, "fpath": path, "category_id": y} for i, (path, y) in enumerate(images)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"annotations": annotations, "num_classes": 3}))
    data, text = load(root, "train.json", "test.json"), load(root)
    assert data.files().tolist() == text.files().tolist() and data.train_labels.tolist() == text.train_labels.tolist()


def test_one_list_is_split(root, lists):
    """A fifth of 23, 8 and 2, rounded but at least one; another image more moves at most one other of its class."""
    data = load(root, test=None)
    assert np.bincount(data.eval_labels).tolist() == [5, 2, 1] and data.class_counts.tolist() == [18, 6, 1]
    assert set(load(root, test=None, split_seed=0).eval_items) == set(data.eval_items)
    assert set(load(root, test=None, split_seed=1).eval_items) != set(data.eval_items)
    assert len(load(root, test=None, test_fraction=0.5).eval_labels) == 12 + 4 + 1
    lists("more.txt", [*reversed(TRAIN), TEST[0]])
    more = set(load(root, "more.txt", test=None).eval_items)
    assert len(more ^ set(data.eval_items)) <= 2


def test_split_is_that_of_the_paths_in_the_list(root, lists, tmp_path):
    """Not of where the images lie."""
    (tmp_path / "moved").symlink_to(root)
    here, there = load(root, test=None), load("moved", test=None)
    assert [os.path.relpath(path, os.fsencode(root)) for path in here.eval_items] == [
        os.path.relpath(path, os.fsencode(tmp_path / "moved")) for path in there.eval_items
    ]


def test_groups_stay_on_one_side(root, lists):
    rows = [("path", "label", "patient"), *((path, label, f"p{i // 2}") for i, (path, label) in enumerate(TRAIN))]
    lists("train.csv", rows, "{},{},{}")
    data = load(root, "train.csv", None, list_columns=("path", "label", "patient"))
    patient = {f"{root}/{path}".encode(): patient for path, _, patient in rows[1:]}
    sides = [{patient[path] for path in images} for images in (data.train_items, data.eval_items)]
    assert not sides[0] & sides[1] and len(sides[1]) >= 3
    other = [("path", "label", "patient"), (*TEST[0], "q"), (*TEST[1], "p3")]
    lists("test.csv", other, "{},{},{}")
    message = "--eval_list=test.csv: line 3: group p3 is in --train_list=train.csv: line 8, too; remove one of them"
    with pytest.raises(UserError, match=message):
        load(root, "train.csv", "test.csv", list_columns=("path", "label", "patient"))
    assert len(load(root, "train.csv", "test.csv", list_columns=rows[0], allow_overlap=True).eval_labels) == 2


def test_groups_stay_on_one_side_of_what_an_earlier_run_was_trained_on(root, lists, tmp_path, capsys):
    """Of a group that it was trained on no image is tested: they are trained on, or left out of a list of their own."""
    rows = [("path", "label", "patient"), *((path, label, f"p{i // 2}") for i, (path, label) in enumerate(TRAIN))]
    columns, patient = rows[0], {f"{root}/{path}".encode(): group for path, _, group in rows[1:]}
    lists("train.csv", rows, "{},{},{}")
    tested = [
        os.path.relpath(path.decode(), root) for path in load(root, "train.csv", None, list_columns=columns).eval_items
    ]
    groups = [patient[f"{root}/{path}".encode()] for path in tested]
    torn = next(group for group in groups if groups.count(group) == 2)
    seen = tested[groups.index(torn)]  # one of the two photos of a patient
    lists("first.txt", [(seen, dict(TRAIN)[seen]), *((path, label) for path, label in TRAIN if path not in tested)])
    first = load(root, "first.txt", "test.txt")
    known = record.write(tmp_path, first.class_names, first.identities())
    capsys.readouterr()
    data = load(root, "train.csv", None, list_columns=columns, started_from=known)
    sides = [{patient[path] for path in images} for images in (data.train_items, data.eval_items)]
    assert torn in sides[0] and not sides[0] & sides[1] and len(data.train_items) + len(data.eval_items) == 33
    said = f"1 of {len(tested)} test images were trained on by {tmp_path} ({{}}/{seen}), 1 more are of their groups; in"
    assert said.format(dict(TRAIN)[seen]) in capsys.readouterr().out
    lists("rest.csv", [columns, *(row for row in rows[1:] if row[0] not in tested)], "{},{},{}")
    lists("test.csv", [columns, *(row for row in rows[1:] if row[0] in tested)], "{},{},{}")
    data = load(root, "rest.csv", "test.csv", list_columns=columns, started_from=known)
    assert len(data.eval_items) == len(tested) - 2 and torn not in {patient[path] for path in data.eval_items}


def test_validation_list(root, lists):
    lists("val.txt", [TEST[0]])
    lists("test.txt", TEST[1:])
    test = load(root, validation_list="val.txt", expect_images=(33, 2))
    validation = load(root, validation_list="val.txt", expect_images=(33, 2), evaluate_on="validation")
    assert test.eval_labels.tolist() == [1, 2] and validation.eval_labels.tolist() == [0]
    with pytest.raises(
        UserError,
        match="--train_list=train.txt: no image to evaluate on; --evaluate_on=validation needs --validation_l",
    ):
        load(root, evaluate_on="validation")
    lists("val.txt", [TEST[1]])
    with pytest.raises(
        UserError, match="--validation_list=val.txt: line 1: image .* is in --eval_list=test.txt: line 1"
    ):
        load(root, validation_list="val.txt")


def test_blanks_and_unicode_in_paths(root, lists, tmp_path):
    odd = tmp_path / "R\u00f6ntgen \u732b" / "my images"
    odd.mkdir(parents=True)
    for name in COUNTS:
        (odd / name).symlink_to(root / name)
    lists("train.txt", [(f"R\u00f6ntgen \u732b/my images/{path}", label) for path, label in TRAIN], "{} {}\r")
    lists("test.txt", [(f"R\u00f6ntgen \u732b/my images/{path}", label) for path, label in TEST], "{}\t{}")
    data = load(tmp_path)
    assert data.reader("train")(0).shape == (32, 32, 3) and data.eval_items[0].endswith(b"my images/ant/23.webp")


def test_an_image_in_both_lists(root, lists):
    lists("test.txt", [*TEST, TRAIN[5], TRAIN[6]])
    message = (
        f"--eval_list=test.txt: line 4: image {root}/ant/05.webp is in --train_list=train.txt: line 6, too "
        "(2 like this); remove one of them, or allow it with --allow_overlap"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        load(root)
    assert len(load(root, allow_overlap=True).eval_labels) == 5
    lists("test.txt", [*TEST, (f"./{TRAIN[5][0]}", 0)])
    with pytest.raises(UserError, match="line 4: image .*05.webp is in --train_list=train.txt: line 6"):
        load(root)
    lists("test.txt", [*TEST, (TRAIN[5][0], 1)])
    with pytest.raises(UserError, match="line 4: .*05.webp has another label in --train_list=train.txt: line 6"):
        load(root, allow_overlap=True)


def test_an_image_twice_in_one_list(root, lists):
    lists("train.txt", [*TRAIN, TRAIN[0]])
    with pytest.raises(
        UserError, match="line 34: image .*ant/00.jpg is in --train_list=train.txt: line 1, too; remove"
    ):
        load(root, allow_overlap=True)


def test_an_image_twice_in_one_list_and_in_another(root, lists):
    """What two lists may have in common, one list may not have twice."""
    lists("test.txt", [*TEST, TRAIN[5], TRAIN[6], TRAIN[5]])
    message = f"--eval_list=test.txt: line 6: image {root}/ant/05.webp is in --eval_list=test.txt: line 4, too; remove"
    for allow_overlap in (True, False):
        with pytest.raises(UserError, match=re.escape(message)):
            load(root, allow_overlap=allow_overlap)


def test_a_folder_whose_name_is_no_text(root, lists, tmp_path):
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    os.symlink(root, odd)
    data = load(odd)
    assert data.train_items[0] == os.fsencode(odd) + b"/ant/00.jpg" and data.reader("train")(0).shape == (32, 32, 3)


def test_missing_images_are_named_by_line(root, lists, capsys):
    lists("train.txt", [TRAIN[0], ("ant/nowhere.jpg", 0), ("", ""), *TRAIN[1:], ("bee/gone.jpg", 1)])
    message = (
        f"--data_dir={root}: 2 of 38 image files can't be read: --train_list=train.txt: line 2, {root}/ant/nowhere.jpg "
        f"(No such file or directory), --train_list=train.txt: line 36, {root}/bee/gone.jpg (No such file or directory)"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        load(root)
    assert len(load(root, skip_unreadable=True).train_labels) == 33
    assert "2 of 38 image files can't be read" in capsys.readouterr().out
    lists("train.txt", [*TRAIN[:-2], ("cat/gone.jpg", 2)])
    with pytest.raises(UserError, match="--train_list=train.txt: line 32: class '2' has no image left to train on"):
        load(root, skip_unreadable=True)


def test_all_images_lie_elsewhere(root, lists):
    """One folder too deep, one too high, another machine's prefix, and nowhere near."""
    with pytest.raises(UserError) as error:
        load(root / "ant")
    assert f"line 1: {root}/ant/ant/00.jpg does not exist, and so all 33 images" in str(error.value)
    assert str(error.value).endswith(f"; they are in {root}: name it by --data_dir")
    with pytest.raises(UserError, match=f"; they are in {root}: name it by --data_dir"):
        load(root.parent)
    for prefix in ("train/", "/data/iNat18/"):
        lists("train.txt", [(prefix + path, label) for path, label in TRAIN])
        with pytest.raises(UserError, match=f"they are found without {prefix}, with which all begin: remove it"):
            load(root)
    lists("train.txt", [(f"z{path}", label) for path, label in TRAIN])
    with pytest.raises(
        UserError, match="line 1: .*/zant/00.jpg does not exist, .*; --data_dir must be the folder where"
    ):
        load(root)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (
            None,
            {"expect_images": (34, 3)},
            "--train_list=train.txt: names 33 images, and --expect_images=34,3 wants 34: is it",
        ),
        (
            None,
            {"expect_images": (33, 4)},
            "--eval_list=test.txt: names 3 images, and --expect_images=33,4 wants 4: is it",
        ),
        (None, {"split_seed": 1}, "--split_seed=1: has no meaning here, since"),
        (None, {"test_fraction": 0.1}, "--test_fraction=0.1: has no meaning here"),
        (("train.txt", TRAIN[:23]), {"test": None}, "--train_list=train.txt: has one class only, '0'; needs"),
        (("train.txt", [TRAIN[0], TRAIN[-1]]), {"test": None}, "--train_list=train.txt: no image of class 1 to"),
        (
            ("train.txt", [TRAIN[0], (TRAIN[-1][0], 1)]),
            {"test": None},
            "--train_list=train.txt: no image to evaluate on; a class needs two, or name the test set by --eval_list",
        ),
        (("test.txt", []), {}, "--eval_list=test.txt: is empty"),
    ],
)
def test_what_does_not_fit_costs_one_line(root, lists, change, settings, message):
    if change:
        lists(*change)
    with pytest.raises(UserError) as error:
        load(root, **settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_no_folder(lists, tmp_path):
    for name in ("nowhere", "train.txt"):
        with pytest.raises(UserError, match=f"--data_dir={name}: is no folder; must be the one where the paths"):
            load(name)
