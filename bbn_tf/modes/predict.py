"""Classifies image files with a run's model or an exported one, into a CSV file."""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from bbn_tf.data import decoding, listing
from bbn_tf.errors import UserError
from bbn_tf.files import check_output
from bbn_tf.modes import build, export
from bbn_tf.runs import csv_files
from bbn_tf.runs.exported import read_export_facts
from bbn_tf.runs.folder import RunFolder

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
    unreadable = []

    def rows():
        for path, probabilities, error in results(files, classify):
            yield [path, *cells(probabilities, class_names, top), error]
            unreadable.extend([path] if error else [])

    csv_files.write(config.output, header(top), rows())
    if unreadable:
        raise UserError(
            f"--images={config.images}: {len(unreadable)} of {len(files)} files can't be read, see the column error of "
            f"{config.output}; the others are classified there"
        )
    print(f"{config.output}: {len(files)} images classified")


def image_files(path):
    """The file, or a folder's image files of all levels in order of their paths; prints what is left out.

    Raises:
        UserError: there are none, or a folder can't be read.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"--images={path}: does not exist; must be an image file or a folder of them")
    found = listing.Listing()
    files = sorted(map(pathlib.Path, found.images(path)))
    left_out = found.left_out()
    if not files:
        looked_for = f"looked for {' '.join(listing.ENDINGS)}, in all levels"
        raise UserError(f"--images={path}: holds no image file; {looked_for}" + (f"; {left_out}" if left_out else ""))
    for note in found.notes():
        print(f"note: {note}")
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
    """One line of why a file can't be read; to learn why, it is decoded once more, alone."""
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}"
    return f"can't be decoded: {decoding.refusal(path.read_bytes()) or decoding.one_line(error.message)}"


def header(top):
    further = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("class", "probability")]
    return ["file", "class_id", "class", "probability", *further, "error"]


def cells(probabilities, class_names, top):
    """class_id, then name and probability of the `top` most probable classes; empty without probabilities."""
    if probabilities is None:
        return [""] * (1 + 2 * top)
    order = np.argsort(-probabilities, kind="stable")[:top]
    pairs = [(class_names[i], f"{probabilities[i]:.6f}") for i in order]
    return [order[0], *(cell for pair in pairs for cell in pair)]
