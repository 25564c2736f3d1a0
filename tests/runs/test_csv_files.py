import csv
import pathlib
import types

import numpy as np
import pytest

from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.data.image_files import FileDataset
from bbn_tf.errors import UserError
from bbn_tf.runs import csv_files

NAMES = ("cat", "=cmd", '-1, or\n"less"')
LABELS = np.array([0, 1, 1, 2])
PREDICTED = np.array([0, 1, 0, 0])
CONFUSION = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]])
EVALUATOR = types.SimpleNamespace(
    predicted=PREDICTED, confidence=np.float32([0.5, 0.25, 1.0, 0.123456789]), confusion=CONFUSION
)


def read(path):
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_formulas_get_an_apostrophe(tmp_path, text):
    csv_files.write(tmp_path / "a.csv", ["x", "path", "number"], [[text, pathlib.Path(f"{text}.png"), -1]])
    assert read(tmp_path / "a.csv") == [["x", "path", "number"], [f"'{text}", f"'{text}.png", "-1"]]


@pytest.mark.parametrize("text", ["a-b", " =1", "'=1", "C++", "", "ä€😀", 'two\nlines, "quoted"', "\udcff.png"])
def test_other_text_is_written_as_it_is(tmp_path, text):
    csv_files.write(tmp_path / "a.csv", ["x"], [[text]])
    assert read(tmp_path / "a.csv") == [["x"], [text]]


def test_evaluation_of_images_in_memory(tmp_path):
    images = np.zeros((4, 2, 2, 3), np.uint8)
    dataset = ImageDataset(images, LABELS, images, LABELS, NAMES, (0.0,) * 3, (1.0,) * 3)
    csv_files.write_evaluation(tmp_path, dataset, EVALUATOR)
    assert read(tmp_path / "evaluation.csv") == [
        ["index", "class_id", "class", "predicted_id", "predicted", "probability"],
        ["0", "0", "cat", "0", "cat", "0.500000"],
        ["1", "1", "'=cmd", "1", "'=cmd", "0.250000"],
        ["2", "1", "'=cmd", "0", "cat", "1.000000"],
        ["3", "2", f"'{NAMES[2]}", "0", "cat", "0.123457"],
    ]
    assert read(tmp_path / "confusion.csv") == [
        ["class_id", "class", "predicted_id", "predicted", "count"],
        ["0", "cat", "0", "cat", "1"],
        ["1", "'=cmd", "0", "cat", "1"],
        ["1", "'=cmd", "1", "'=cmd", "1"],
        ["2", f"'{NAMES[2]}", "0", "cat", "1"],
    ]
    assert csv_files.read_confusion(tmp_path) == {(0, 0): 1, (1, 0): 1, (1, 1): 1, (2, 0): 1}


def test_evaluation_of_files_names_those_evaluated_on(tmp_path):
    train, held_out = np.array([b"train/a.png", b"train/b.png"]), np.array([b"x.png", b"-y.png", b"\xff.png", b"z.png"])
    dataset = FileDataset(train, np.array([0, 1]), held_out, LABELS, NAMES)
    csv_files.write_evaluation(tmp_path, dataset, EVALUATOR)
    header, *rows = read(tmp_path / "evaluation.csv")
    assert header[0] == "file" and [row[0] for row in rows] == ["x.png", "'-y.png", "\udcff.png", "z.png"]


def test_confusion_that_is_missing_or_damaged(tmp_path):
    assert csv_files.read_confusion(tmp_path) is None
    (tmp_path / "confusion.csv").write_text("class_id,predicted_id\n0,x\n")
    with pytest.raises(UserError, match=r"confusion.csv: damaged \(ValueError\); --mode=evaluate .* writes it again"):
        csv_files.read_confusion(tmp_path)
