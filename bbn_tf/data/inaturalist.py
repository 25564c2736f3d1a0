"""iNaturalist from the original files: the image tree, and what is in it as COCO-style JSON."""

import json
import pathlib

import numpy as np

from bbn_tf.data import file_checks
from bbn_tf.data.image_folders import checked_dataset, readable
from bbn_tf.errors import UserError

LISTS = ("images", "annotations", "categories")
SOURCE = "https://github.com/visipedia/inat_comp/tree/master/{}"
# Edition -> the lists of its training and validation images.
FILES = {year: (f"train{year}.json", f"val{year}.json") for year in (2017, 2018, 2019)}
FILES |= {2021: ("train.json", "val.json"), "2021_mini": ("train_mini.json", "val.json")}


def load(data_dir, year, image_size, skip_unreadable=False, find_damage=file_checks.glance):
    """The official training and validation images (section 5.1 of arXiv:1912.02413).

    Args:
        data_dir: folder with the two files of `FILES` and the images where their `file_name` says; in 2018 and 2019
            names of the classes are numbers unless categories.json, which was published later, is there too.
        year: of `FILES`; "2021_mini" are 50 images of each of 2021's 10,000 classes.
        image_size, skip_unreadable, find_damage: as of `image_folders.load`.

    Returns:
        `FileDataset`, classes in the order of their ids.

    Raises:
        UserError: a file is missing or not like that, or images are damaged.
    """
    root = pathlib.Path(data_dir)
    files = [root / name for name in FILES[year]]
    for file in files:
        if not file.is_file():
            raise UserError(
                f"--data_dir={root}: has no {file.name}; must be the folder of iNaturalist {year}'s annotations and "
                f"images, unpacked; see {SOURCE.format(str(year)[:4])}"
            )
    tables = [_read(file, lambda content: [content[name] for name in LISTS]) for file in files]
    names = dict(tables[0][2])
    classes = sorted(names)
    if (later := root / "categories.json").is_file():
        names |= dict(*_read(later, lambda content: [content]))
    parts = [_paths_and_labels(*table[:2], classes, file) for table, file in zip(tables, files, strict=True)]
    parts = readable(parts, root, skip_unreadable, find_damage)
    return checked_dataset(parts, tuple(str(names[category]) for category in classes), root, image_size)


def _read(file, pick):
    """Lists of pairs (see `_needed`) in a JSON file.

    Args:
        file: its path.
        pick: content -> the lists.

    Raises:
        UserError: it can't be read, or one of the lists is missing, empty or holds something else.
    """
    try:
        with open(file, encoding="utf-8") as text:
            lists = pick(json.load(text, object_hook=_needed))
        if not all(entries and all(type(entry) is tuple for entry in entries) for entries in lists):
            raise ValueError("a list is empty or lacks fields")
        return lists
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise UserError(f"{file}: damaged or no annotations of iNaturalist, can't be read ({reason})") from error


def _needed(entry):
    """Of an image (id, file name), of an annotation (image, category), of a category (id, name): the rest is 1 GB."""
    for first, second in (("id", "file_name"), ("image_id", "category_id"), ("id", "name")):
        if first in entry and second in entry:
            return entry[first], entry[second]
    return entry


def _paths_and_labels(images, annotations, classes, file):
    """(paths bytes [N], labels int64 [N]), in the order of the images.

    Raises:
        UserError: an image has not one annotation, or a category is unknown.
    """
    label_of = {category: label for label, category in enumerate(classes)}
    category_of = dict(annotations)
    if len(category_of) != len(annotations):
        raise UserError(f"{file}: an image has more than one annotation")
    try:
        labels = [label_of[category_of[image]] for image, _ in images]
    except KeyError as error:
        raise UserError(f"{file}: an image has no annotation, or one of an unknown category ({error})") from error
    folder = bytes(file.parent)
    paths = [folder + b"/" + str(name).encode() for _, name in images]
    return np.array(paths, np.bytes_), np.array(labels, np.int64)
