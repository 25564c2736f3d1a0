"""The images of runs that have no record, which older versions made: for these alone."""

import os
import pathlib

from bbn_tf.data import file_checks, file_sets, long_tail
from bbn_tf.data.image_parts import PARTS, files_of_rows, nothing
from bbn_tf.errors import UserError

ENDINGS = (".jpeg", ".jpg", ".png", ".webp")


def listed(data_dir):
    """`Listed` of a folder of images as older versions listed it: their endings, names and order.

    Raises:
        UserError: a folder is not there or can't be read.
    """

    def stop(error):
        raise UserError(f"{error.filename}: can't be read ({error.strerror or error})") from error

    root = pathlib.Path(data_dir)
    two = all((root / part).is_dir() for part in ("train", "test"))
    trees = {part: root / part for part in ("train", "test")} if two else {"all": root}
    rows, names = {part: [] for part in trees}, []
    for part, tree in trees.items():
        folders = next(os.walk(tree, onerror=stop), (None, [], []))[1]
        folders = sorted(name for name in folders if not name.startswith("."))
        names = names or folders
        for folder in folders:
            if folder not in names:
                raise UserError(f"{tree / folder}: is a class that {trees['train']} does not have")
            start = len(os.fsencode(tree / folder)) + 1
            for parent, inner, files in os.walk(tree / folder, onerror=stop, followlinks=True):
                inner[:] = sorted(name for name in inner if not name.startswith("."))
                shown = sorted(f for f in files if not f.startswith(".") and f.lower().endswith(ENDINGS))
                rows[part] += [(os.fsencode(os.path.join(parent, f)), names.index(folder), start) for f in shown]
    if not any(rows.values()):
        raise UserError(f"--data_dir={data_dir}: holds no image file (looked for {' '.join(ENDINGS)})")
    files = {part: files_of_rows(found) for part, found in rows.items()}
    return file_sets.Listed(os.fspath(data_dir), tuple(names), files)


def load(listed, split, *, skip_unreadable=False, find_damage=None, use="train", counts=(None, None)):
    """What `file_sets.load` does for a run with a record; says what can't be seen without one.

    Args:
        counts: numbers of images that the run was trained and evaluated on; None if they are not known.

    Raises:
        UserError: see `file_sets.load`; or the numbers are others, so that trained images would be tested on.
    """
    print(
        "note: this run has no list of its images, as older versions kept none: photos that were added or removed "
        "since can't be seen"
    )
    usable, unreadable = file_sets.readable(listed, skip_unreadable, find_damage or file_checks.glance)
    found = {**parts(usable, split), "unreadable": unreadable}
    file_sets.check_parts(usable, found, split.evaluated, use)
    numbers = tuple(len(found[part]) for part in ("train", split.evaluated))
    drawn = "all" in listed.parts or split.validation_fraction
    if drawn and None not in counts and numbers != counts:
        raise UserError(
            f"--data_dir={listed.root}: holds {numbers[0]} and {numbers[1]} images to train and to evaluate on where "
            f"the run had {counts[0]} and {counts[1]}, and kept no list of them; put the photos back as they were"
        )
    return found, split.evaluated


def parts(listed, split):
    """dict of `PARTS` -> `ImageFiles`, split by position with one stream of random numbers over all classes.

    Args:
        listed: `Listed`.
        split: `file_sets.Split`.
    """
    there = dict(listed.parts)
    if "all" in there:
        fraction = file_sets.TEST_FRACTION if split.test_fraction is None else split.test_fraction
        there["train"], there["test"] = _halves(there.pop("all"), fraction, split.split_seed or file_sets.SPLIT_SEED)
    if split.validation_fraction:
        there["train"], there["validation"] = _halves(there["train"], split.validation_fraction, split.seed)
    return {part: there.get(part, nothing()) for part in PARTS}


def _halves(files, fraction, seed):
    stay, held_out = long_tail.stratified_split(files.labels, fraction, seed)
    return files.take(stay), files.take(held_out)
