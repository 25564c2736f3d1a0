"""Classifies image files with a run's model or an exported one, into a CSV file."""

import csv
import pathlib
import re
import sys

import keras
import numpy as np
import tensorflow as tf

from bbn_tf.data import crops
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path, check_output
from bbn_tf.modes import build, export
from bbn_tf.runs.exported import read_export_facts
from bbn_tf.runs.folder import RunFolder

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")  # looked for in a folder, in small or capital letters
BATCH = 64
TOP = 5


def run(config):
    """Classifies `config.images` and writes `config.output`.

    A row for every file: `file`, `class_id`, `class`, `probability`, the next four classes in `class_2`,
    `probability_2` and so on, and `error`, empty unless the file can't be read.

    Args:
        config: `bbn_tf.config.Config`, of a run or of an exported model.

    Raises:
        UserError: before the model is loaded if there are no images or the output can't be written; at the
            end, with all rows written, if some files could not be read.
    """
    files = image_files(pathlib.Path(config.images))
    check_output(config.output, config.overwrite)
    classify, class_names = load_classifier(config)
    top = min(TOP, len(class_names))
    unreadable = 0
    with atomic_path(config.output) as temporary, open_csv(temporary) as file:
        writer = csv.writer(file)
        writer.writerow(header(top))
        for path, probabilities, error in results(files, classify):
            writer.writerow([path, *cells(probabilities, class_names, top), error])
            unreadable += bool(error)
    if unreadable:
        raise UserError(
            f"--images={config.images}: {unreadable} of {len(files)} files can't be read, see the column error of "
            f"{config.output}; the others are classified there"
        )
    print(f"{config.output}: {len(files)} images classified")


def image_files(path):
    """The file, or a folder's image files of all levels in order of their paths.

    Raises:
        UserError: there are none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"--images={path}: does not exist; must be an image file or a folder of them")
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
    if not files:
        raise UserError(f"--images={path}: holds no image file; looked for {' '.join(SUFFIXES)}, in all levels")
    return files


def load_classifier(config):
    """The model of a run or of an exported folder, through the one function that is exported.

    Returns:
        (function string [B] of files' contents -> float32 [B, C] probabilities, list of C class names).
    """
    facts = read_export_facts(config.model_dir)
    if facts is None:
        export.require_tensorflow(config.mode)
        folder = RunFolder(config.model_dir)
        facts = export.read_facts(folder)
        serving = export.Serving(build.load_model(folder), facts)
        encoded = tf.function(serving.encoded, input_signature=[export.ENCODED], autograph=False)
    else:
        loaded = load_saved_model(config.model_dir)
        encoded = lambda image_bytes: loaded.signatures["encoded"](image_bytes=image_bytes)  # noqa: E731
    return lambda contents: encoded(tf.constant(contents))["probabilities"].numpy(), facts["class_names"]


def load_saved_model(folder):
    try:
        return tf.saved_model.load(folder)
    except Exception as error:  # whatever damaged variables or protocol buffers make TensorFlow raise
        raise UserError(f"--model_dir={folder}: damaged, can't be loaded ({type(error).__name__})") from error


def results(files, classify):
    """Yields (path, probabilities float32 [C] or None, error text) for every file, in order."""
    progress = keras.utils.Progbar(len(files), unit_name="image") if sys.stdout.isatty() else None
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        yield from classify_batch(batch, classify)
        if progress:
            progress.add(len(batch))


def classify_batch(files, classify):
    """List of (path, probabilities or None, error); one bad file must not cost the others their answer."""
    try:
        return [(path, row, "") for path, row in zip(files, classify([f.read_bytes() for f in files]), strict=True)]
    except (OSError, tf.errors.InvalidArgumentError) as error:
        if len(files) == 1:
            return [(files[0], None, reason(files[0], error))]
    return [result for path in files for result in classify_batch([path], classify)]


def reason(path, error):
    """One line of why a file can't be read.

    It is decoded once more, alone: from inside a graph TensorFlow's message has the line somewhere in pages.
    """
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}"
    try:
        crops.decode_whole(path.read_bytes())
    except tf.errors.InvalidArgumentError as alone:
        error = alone
    return "can't be decoded: " + " ".join(re.sub(r"{{.*?}}|\[Op:.*?\]", "", error.message).split())


def open_csv(path):
    """A file's name may be any bytes: what is no UTF-8 is written as it came."""
    return open(path, "w", newline="", encoding="utf-8", errors="surrogateescape")


def header(top):
    further = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("class", "probability")]
    return ["file", "class_id", "class", "probability", *further, "error"]


def cells(probabilities, class_names, top):
    """class_id, then name and probability of the `top` likeliest classes; empty without probabilities."""
    if probabilities is None:
        return [""] * (1 + 2 * top)
    order = np.argsort(-probabilities, kind="stable")[:top]
    pairs = [(class_names[i], f"{probabilities[i]:.6f}") for i in order]
    return [order[0], *(cell for pair in pairs for cell in pair)]
