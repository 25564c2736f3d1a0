"""Which folders are parts and which are classes."""

import unicodedata

import pytest

from bbn_tf.data import layouts
from bbn_tf.errors import UserError


def tree(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x")
    return str(root)


def parts(root):
    return {part: path.rpartition("/")[2] for part, path in layouts.find_trees(root).items()}


@pytest.mark.parametrize(
    "train, test",
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train-images", "test images"),
        ("trainset", "testset"),
        ("train_data", "test_data"),
        ("training", "validation"),
        ("train", "val"),
        ("Train", "valid"),
    ],
)
def test_usual_names(tmp_path, train, test):
    root = tree(tmp_path, f"{train}/ant/1.jpg", f"{train}/bee/1.jpg", f"{test}/ant/2.jpg")
    part = "validation" if test.startswith("val") else "test"
    assert parts(root) == {"train": train, part: test}


def test_all_three(tmp_path):
    root = tree(tmp_path, "train/ant/1.jpg", "val/ant/2.jpg", "test/ant/3.jpg")
    assert parts(root) == {"train": "train", "validation": "val", "test": "test"}


def test_one_tree(tmp_path):
    root = tree(tmp_path, "ant/1.jpg", "bee/1.jpg", "restrained/1.jpg", "contest/2.jpg")
    assert layouts.find_trees(root) == {"all": root}


@pytest.mark.parametrize(
    "files",
    [
        ("Bus/1.jpg", "Car/1.jpg", "Train/1.jpg"),  # a class of vehicles
        ("Bus/1.jpg", "Car/1.jpg", "Train/steam/1.jpg", "Train/diesel/1.jpg"),
    ],
)
def test_a_class_may_be_called_train(tmp_path, files):
    root = tree(tmp_path, *files)
    assert layouts.find_trees(root) == {"all": root}
    assert list(layouts.class_folders(root)) == ["Bus", "Car", "Train"]


def test_a_class_called_train_within_parts(tmp_path):
    root = tree(tmp_path, "train/Bus/1.jpg", "train/Train/1.jpg", "test/Bus/1.jpg", "test/Train/1.jpg")
    assert parts(root) == {"train": "train", "test": "test"}


def test_what_lies_beside_the_parts_is_named(tmp_path, capsys):
    root = tree(tmp_path, "train/ant/1.jpg", "test/ant/1.jpg", "annotations/ant.xml", "extra/1.jpg")
    assert parts(root) == {"train": "train", "test": "test"}
    assert "annotations/, extra/ beside train/, test/ left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("Training/ant/1.jpg", "Training/bee/1.jpg"), "has Training/ but no test/; add it"),
        (("test/ant/1.jpg", "val/ant/1.jpg"), "has test/, val/ but no train/; add it"),
        (("test/ant/1.jpg", "ant/1.jpg", "bee/1.jpg"), "has test/ but no train/"),  # not a class "test"
        (("train/ant/1.jpg", "Training/ant/1.jpg", "test/ant/1.jpg"), "has Training/, train/, more than one folder"),
        (
            ("fold1/ant/1.jpg", "fold1/bee/1.jpg", "fold2/ant/1.jpg", "fold2/bee/2.jpg"),
            r"fold1/, fold2/ hold no images but the same folders each \(ant/, bee/\), so they are no classes",
        ),
    ],
)
def test_refused(tmp_path, files, message):
    with pytest.raises(UserError, match=message) as error:
        layouts.find_trees(tree(tmp_path, *files))
    assert "\n" not in str(error.value)


def test_a_folder_more_in_every_class_is_no_part(tmp_path):
    """As in Tiny ImageNet, whose classes hold a folder `images` each."""
    root = tree(tmp_path, "ant/images/1.jpg", "bee/images/1.jpg")
    assert layouts.find_trees(root) == {"all": root}


def test_names_in_nfc_and_nfd_are_one_class(tmp_path):
    composed, apart = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))
    root = tree(tmp_path, f"{composed}/1.jpg", f"{apart}/2.jpg", "Zebra/1.jpg")
    folders = layouts.class_folders(root)
    assert list(folders) == [composed, "Zebra"] and len(folders[composed]) == 2
