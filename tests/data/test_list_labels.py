"""What a list calls its classes becomes whole numbers from 0, or one line that says why not."""

import pytest

from bbn_tf.data import list_files, list_labels
from bbn_tf.errors import UserError


def images(labels, title="--train_list=t", num_classes=None):
    labels = labels.split()
    places, paths = list(range(11, 11 + len(labels))), [f"{i}.jpg" for i in range(len(labels))]
    return list_files.ImageList(title, places=places, paths=paths, labels=labels, num_classes=num_classes)


def of_lists(*labels, names=None, folder=None, num_classes=None):
    lists = [images(labels[0], num_classes=num_classes), *(images(text, "--eval_list=e") for text in labels[1:])]
    if names is None:
        return list_labels.of_lists(lists)
    (folder / "names.txt").write_text(names)
    return list_labels.of_lists(lists, str(folder / "names.txt"))


def test_numbers():
    names, (train, test) = of_lists("2 0 1 010 3 4 5 6 7 8 9", "1 1")
    assert names == tuple(map(str, range(11)))
    assert train.tolist() == [2, 0, 1, 10, 3, 4, 5, 6, 7, 8, 9] and test.tolist() == [1, 1] and train.dtype == int


def test_names_come_in_sorted_order():
    names, (train, test) = of_lists("bee cat ant bee", "cat ant")
    assert names == ("ant", "bee", "cat") and train.tolist() == [1, 2, 0, 1] and test.tolist() == [2, 0]


def test_composed_and_decomposed_names_are_one():
    names, (train,) = of_lists("Zo\u00eb Zoe\u0308 ant")
    assert names == ("Zo\u00eb", "ant") and train.tolist() == [0, 0, 1]


def test_labels_are_not_searched_for_without_a_mistake():
    """A search for each label takes minutes at iNaturalist's size."""

    class Labels(list):
        def index(self, label):
            raise AssertionError("searched")

    for texts in (["1", "0"], ["bee", "ant"]):
        of_list = list_files.ImageList("--train_list=t", places=[1, 2], paths=["a", "b"], labels=Labels(texts))
        assert list_labels.of_lists([of_list])[1][0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        ("0 1 2", "tench\ngreat white\nant\n", ("tench", "great white", "ant")),
        ("0 1 2", "\ufeffn01 tench\r\nn02 great white\r\n\r\nn03 ant", ("tench", "great white", "ant")),
        ("n01 n02 n03", "n01 tench\nn02 great white\nn03 ant", ("tench", "great white", "ant")),
        ("tench n02 ant", "n01 tench\nn02 great white\nn03 ant", ("tench", "great white", "ant")),
        ("n01 n02 n03", "n01 crane\nn02 ant\nn03 crane", ("n01 crane", "n02 ant", "n03 crane")),  # as ImageNet's
        ("0 1 2", "/a/airfield 0\n/c/car 1\n/b/bar indoor 2", ("/a/airfield", "/c/car", "/b/bar indoor")),  # as Places'
        ("0 1 2", "2 two\n0 zero\n1 one", ("zero", "one", "two")),
        ("cat ant bee", "cat\nant\nbee", ("cat", "ant", "bee")),
    ],
)
def test_class_names(tmp_path, labels, names, classes):
    shown, (train,) = of_lists(labels, names=names, folder=tmp_path)
    assert shown == classes and train.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (("1 2 3", "1 2"), "--train_list=t: line 11: labels begin at 1; must begin at 0: subtract 1 from each"),
        (("0 1 -1",), "--train_list=t: line 13: label -1: must be from 0 to 1, for the 2 classes of --train_list=t"),
        (
            ("0 1 3",),
            "--train_list=t: no image of class 2 to train on; labels must be whole numbers from 0 without gaps",
        ),
        (("0 1", "0 2"), "--eval_list=e: line 12: label 2: must be from 0 to 1, for the 2 classes of --train_list=t"),
        (("0 1 x",), "--train_list=t: line 13: label 'x': is no whole number, but '0' in --train_list=t: line 11"),
        (("a 1",), "--train_list=t: line 12: label '1': is a number, but 'a' in --train_list=t: line 11"),
        (("0 1", "ant bee"), "--eval_list=e: line 11: label 'ant': is no whole number, but '0'"),
        (("0.0 1.0",), "--train_list=t: line 11: label '0.0': is no whole number; labels must be"),
        (("a nan",), "--train_list=t: line 12: label 'nan': is no whole number; labels must be"),
        (("ant bee", "bee cat"), "--eval_list=e: line 12: class 'cat' is none of the 2 of --train_list=t"),
        (("1 2", "0"), "--train_list=t: no image of class 0 to train on"),
    ],
)
def test_labels_that_do_not_fit(lists, message):
    with pytest.raises(UserError) as error:
        of_lists(*lists)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (
            "0 1 2",
            "a\nb\n",
            "--train_list=t: line 13: label 2: must be from 0 to 1, for the 2 classes of --class_names",
        ),
        ("0 1", "a\nb\nc\n", "--train_list=t: no image of class 2 ('c') to train on"),
        (
            "ant bee",
            "ant\ncat\n",
            "--train_list=t: line 12: class 'bee' is none of the 2 of --class_names={folder}/names",
        ),
        ("0 1", "a\nb\na\n", "--class_names={folder}/names.txt: line 3: 'a' is the class of line 1, too"),
        ("0 1", "\n", "--class_names={folder}/names.txt: is empty"),
    ],
)
def test_class_names_that_do_not_fit(tmp_path, labels, names, message):
    with pytest.raises(UserError) as error:
        of_lists(labels, names=names, folder=tmp_path)
    assert str(error.value).startswith(message.format(folder=tmp_path)) and "\n" not in str(error.value)


def test_json_says_how_many_classes():
    with pytest.raises(UserError, match="line 13: label 2: must be from 0 to 1"):
        of_lists("0 1 2", num_classes=2)
    with pytest.raises(UserError, match="no image of class 3 to train on"):
        of_lists("0 1 2", num_classes=4)
