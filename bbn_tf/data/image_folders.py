"""A data set of image files in class folders."""

import os
import pathlib

import numpy as np

from bbn_tf.data import file_checks, long_tail
from bbn_tf.data.image_files import FileDataset
from bbn_tf.errors import UserError

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
TEST_FRACTION, SPLIT_SEED = 0.2, 0


def load(data_dir, image_size, skip_unreadable=False, test_fraction=None, split_seed=None,
         find_damage=file_checks.glance):  # fmt: skip
    """DIR/train/CLASS/... and DIR/test/CLASS/..., or DIR/CLASS/... of which a part of every class is the test set.

    Args:
        data_dir: DIR.
        image_size: side of the crop that the network sees.
        skip_unreadable: whether to leave damaged files out.
        test_fraction, split_seed: of one tree: see `long_tail.stratified_split`; None for 0.2 and 0.
        find_damage: see `file_checks.glance`.

    Returns:
        `FileDataset`, classes in the order of their names.

    Raises:
        UserError: the folder is not like that, or files are damaged.
    """
    root = pathlib.Path(data_dir)
    if not _has_two_trees(root):
        tree = _class_folders(root)
        (paths, labels), _ = readable([_listed(tree, tuple(tree)), _nothing()], root, skip_unreadable, find_damage)
        fraction = TEST_FRACTION if test_fraction is None else test_fraction
        train, test = long_tail.stratified_split(labels, fraction, SPLIT_SEED if split_seed is None else split_seed)
        return checked_dataset([(paths[i], labels[i]) for i in (train, test)], tuple(tree), root, image_size)
    for name, value in (("test_fraction", test_fraction), ("split_seed", split_seed)):
        if value is not None:
            raise UserError(f"--{name}={value:g}: has no meaning here, since {root / 'test'} is the test set")
    train, test = _class_folders(root / "train"), _class_folders(root / "test")
    if unknown := sorted(set(test) - set(train)):
        raise UserError(f"{root / 'test' / unknown[0]}: is a class that {root / 'train'} does not have")
    parts = readable([_listed(tree, tuple(train)) for tree in (train, test)], root, skip_unreadable, find_damage)
    return checked_dataset(parts, tuple(train), root, image_size)


def readable(parts, root, skip_unreadable, find_damage):
    """`parts`, each (paths bytes [N], labels int64 [N]), without the damaged files.

    Raises:
        UserError: there are some, and not `skip_unreadable`.
    """
    paths = np.concatenate([paths for paths, _ in parts])
    damaged = find_damage(paths)
    if damaged:
        shown = f"{len(damaged)} of {len(paths)} image files can't be read: {file_checks.named(paths, damaged, root)}"
        if not skip_unreadable:
            raise UserError(
                f"--data_dir={root}: {shown}; replace or delete them, or leave them out with --skip_unreadable"
            )
        print(f"note: {shown}; left out")
    good = np.ones(len(paths), bool)
    good[list(damaged)] = False
    masks = np.split(good, np.cumsum([len(paths) for paths, _ in parts])[:-1])
    return [(paths[mask], labels[mask]) for (paths, labels), mask in zip(parts, masks, strict=True)]


def checked_dataset(parts, class_names, root, image_size):
    """`FileDataset` of the part to train on and the part to evaluate on.

    Raises:
        UserError: fewer than two classes, one without an image to train on, or no image to evaluate on.
    """
    (train, labels), (test, test_labels) = parts
    if len(class_names) < 2:
        raise UserError(f"--data_dir={root}: has one class only, {class_names[0]!r}; needs two or more")
    for label in np.flatnonzero(np.bincount(labels, minlength=len(class_names)) == 0):
        raise UserError(
            f"--data_dir={root}: class {class_names[label]!r} has no image to train on (looked for "
            f"{' '.join(SUFFIXES)}); add some or remove the class"
        )
    if not len(test):
        raise UserError(f"--data_dir={root}: no image to evaluate on; a class needs two, or to be in test/ as well")
    return FileDataset(train, labels, test, test_labels, class_names, image_size=image_size)


def _has_two_trees(root):
    """Whether there are train/ and test/; raises UserError if there is but one, or no folder at all."""
    if not root.is_dir():
        raise UserError(
            f"--data_dir={root}: {'is a file' if root.exists() else 'does not exist'}; must be a folder with a "
            "folder of images for every class, or with two such trees, train/ and test/"
        )
    there = [(root / name).is_dir() for name in ("train", "test")]
    if any(there) and not all(there):
        has, lacks = ("train", "test") if there[0] else ("test", "train")
        raise UserError(
            f"--data_dir={root}: has {has}/ but no {lacks}/; add it, or name one tree of class folders, which is split"
        )
    return all(there)


def _class_folders(tree):
    """dict class name -> path of its folder, in order of the names."""
    try:
        with os.scandir(tree) as entries:
            folders = sorted(entry.name for entry in entries if _shown(entry.name) and entry.is_dir())
    except OSError as error:
        raise UserError(f"--data_dir={tree}: can't be read ({error.strerror or error})") from error
    if not folders:
        raise UserError(f"--data_dir={tree}: has no class folders; images must lie in a folder for each class")
    for name in folders:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"--data_dir={tree}: the class folder {os.fsencode(name)!r} has no UTF-8 name") from error
    return {name: tree / name for name in folders}


def _listed(folders, class_names):
    """(paths bytes [N], labels int64 [N]) of the image files in class folders, class by class."""
    paths, labels = [], []
    for label, name in enumerate(class_names):
        found = _image_files(folders[name]) if name in folders else []
        paths += found
        labels += [label] * len(found)
    return np.array(paths, np.bytes_), np.array(labels, np.int64)


def _nothing():
    return np.array([], np.bytes_), np.array([], np.int64)


def _image_files(folder):
    """Paths, bytes, of the image files in a folder and its folders, in their order; links are followed."""

    def stop(error):
        raise UserError(f"{error.filename}: can't be read ({error.strerror or error})") from error

    files = []
    for parent, folders, names in os.walk(folder, onerror=stop, followlinks=True):
        if os.path.islink(parent) and os.path.realpath(parent) in _with_parents(os.path.dirname(parent)):
            raise UserError(f"{parent}: is a link to a folder that it lies in")
        folders[:] = sorted(filter(_shown, folders))
        shown = sorted(name for name in names if _shown(name) and name.lower().endswith(SUFFIXES))
        files += [os.fsencode(os.path.join(parent, name)) for name in shown]
    return files


def _with_parents(folder):
    real = pathlib.Path(os.path.realpath(folder))
    return {str(place) for place in (real, *real.parents)}


def _shown(name):
    """Whether a name is no hidden one, as systems leave beside images."""
    return not name.startswith(".")
