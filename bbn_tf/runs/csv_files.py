"""CSV files for people: how every image was classified, and which classes were taken for which.

UTF-8, a header, one row each; `class_id` is the key, names are for reading: a spreadsheet takes a text that begins
with = + - @ for a formula, so such a text has an apostrophe before it.
"""

import csv
import os
import pathlib

import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path, check_output

EVALUATION, CONFUSION = "evaluation.csv", "confusion.csv"
FORMULA = ("=", "+", "-", "@")


def write(path, header, rows):
    """Writes a file at once, with an apostrophe before every text (str or path) that looks like a formula.

    A file's name may be any bytes: what is not UTF-8 is written as it came.
    """
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value):
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    return f"'{text}" if isinstance(text, str) and text.startswith(FORMULA) else text


def check_folder(folder, overwrite):
    """Raises UserError if the folder of --output can't be written to, or has what may not be replaced."""
    folder = pathlib.Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output={folder}: is a file; must be a folder to write {EVALUATION} and {CONFUSION} in")
    for name in (EVALUATION, CONFUSION):
        check_output(folder / name, overwrite)


def write_evaluation(folder, dataset, evaluator):
    """Writes `evaluation.csv` (a row for every image) and `confusion.csv` (a row for every pair that occurred).

    Args:
        folder: where to.
        dataset: `ImageDataset` of the images, whose files are named; of others the index among those evaluated on.
        evaluator: `bbn_tf.training.evaluation.Evaluator` after a call.
    """
    folder, names = pathlib.Path(folder), dataset.class_names
    files = [os.fsdecode(path) for path in dataset.eval_files()]
    where = "file" if files else "index"
    answers = zip(
        files or range(len(dataset.eval_labels)),
        dataset.eval_labels.tolist(),
        evaluator.predicted.tolist(),
        evaluator.confidence.tolist(),
        strict=True,
    )
    header = [where, "class_id", "class", "predicted_id", "predicted", "probability"]
    write(folder / EVALUATION, header, ((image, i, names[i], j, names[j], f"{p:.6f}") for image, i, j, p in answers))
    pairs = ((i, names[i], j, names[j], evaluator.confusion[i, j]) for i, j in np.argwhere(evaluator.confusion))
    write(folder / CONFUSION, ["class_id", "class", "predicted_id", "predicted", "count"], pairs)


def read_confusion(folder):
    """dict (class_id, id of the predicted class) -> images; None if there is no `confusion.csv`, as in older runs.

    Raises:
        UserError: damaged.
    """
    path = pathlib.Path(folder) / CONFUSION
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return {(int(row["class_id"]), int(row["predicted_id"])): int(row["count"]) for row in rows}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path}: damaged ({type(error).__name__}); --mode=evaluate --model_dir={folder} --output={folder} "
            "--overwrite writes it again"
        ) from error
