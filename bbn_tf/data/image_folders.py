"""A data set of image files in class folders."""

import os

from bbn_tf.data import image_files, layouts, listing, old_rule
from bbn_tf.data.file_sets import Listed, Split
from bbn_tf.data.image_parts import files_of_rows
from bbn_tf.errors import UserError


def load(
    data_dir,
    image_size,
    *,
    test_fraction=None,
    split_seed=None,
    validation_fraction=0.0,
    seed=0,
    evaluate_on=None,
    old=False,
    **how,
):
    """A folder of images as a data set.

    Args:
        data_dir: see `listed`.
        image_size: side of the crop that the network sees.
        test_fraction, split_seed, validation_fraction, seed, evaluate_on: see `file_sets.Split`.
        old: whether it is for a run without a record: see `old_rule`.
        **how: see `file_sets.load`.

    Returns:
        `FileDataset`.
    """
    split = Split(test_fraction, split_seed, validation_fraction, seed, evaluate_on)
    return image_files.load((old_rule.listed if old else listed)(data_dir), image_size, split, old=old, **how)


def listed(data_dir):
    """DIR/train/CLASS/... with DIR/test/CLASS/..., DIR/val/CLASS/... or both; or DIR/CLASS/..., which is split.

    Prints what is left out.

    Args:
        data_dir: DIR.

    Returns:
        `Listed`, classes in the order of their names.

    Raises:
        UserError: the folder is not like that.
    """
    trees = layouts.find_trees(data_dir)
    classes = {part: layouts.class_folders(tree) for part, tree in trees.items()}
    found = listing.Listing()
    files = {part: _files_by_class(folders, found) for part, folders in classes.items()}
    first = "all" if "all" in trees else "train"
    names = [name for name in classes[first] if name in files[first]]
    for part, by_class in files.items():
        if unknown := sorted(set(by_class) - set(names)):
            raise UserError(
                f"{listing.shown(os.path.join(trees[part], unknown[0]))}: is a class that {trees[first]} does not have"
            )
    _report(data_dir, trees, found, any(paths for by_class in files.values() for paths in by_class.values()))
    return Listed(os.fspath(data_dir), tuple(names), {part: _labelled(files[part], names) for part in trees})


def _files_by_class(classes, found):
    """dict class name -> list of (path, where in it the path below the class begins).

    Without folders that hold nothing but runs; `found`, a `Listing`, counts what is left out.
    """
    files = {}
    for name, folders in classes.items():
        runs = len(found.runs)
        paths = [(path, len(os.fsencode(folder)) + 1) for folder in folders for path in found.images(folder)]
        if paths or len(found.runs) == runs:
            files[name] = paths
    return files


def _labelled(by_class, names):
    """`ImageFiles`, class by class."""
    rows = [
        (os.fsencode(path), label, start) for label, name in enumerate(names) for path, start in by_class.get(name, ())
    ]
    return files_of_rows(rows)


def _report(data_dir, trees, found, any_image):
    """Prints what is left out or stands in for something else; raises UserError if no image is left."""
    beside = layouts.images_beside(data_dir, trees)
    in_no_class = f"{len(beside)} image file{'s' * (len(beside) > 1)} in no class folder left out"
    notes = [f"{in_no_class}: {listing.named(beside)}"] if beside else []
    if not any_image:
        left_out = [text for text in (found.left_out(), *notes) if text]
        raise UserError(
            f"--data_dir={listing.shown(data_dir)}: holds no image file (looked for {' '.join(listing.ENDINGS)})"
            + "".join(f"; {text}" for text in left_out)
        )
    for note in [*found.notes(), *notes]:
        print(f"note: {note}")
