"""iNaturalist from the original files: the image tree, and what is in it as COCO-style JSON."""

import json
import os
import pathlib

from bbn_tf.data import image_files, list_files
from bbn_tf.data.file_sets import Listed, Split
from bbn_tf.data.image_parts import files_of_rows
from bbn_tf.errors import UserError

LISTS = ("images", "annotations", "categories")
SOURCE = "https://github.com/visipedia/inat_comp/tree/master/{}"
# Edition -> the lists of its training and validation images.
FILES = {year: (f"train{year}.json", f"val{year}.json") for year in (2017, 2018, 2019)}
FILES |= {2021: ("train.json", "val.json"), "2021_mini": ("train_mini.json", "val.json")}


def load(data_dir, year, image_size, *, validation_fraction=0.0, seed=0, evaluate_on=None, **how):
    """`FileDataset`; see `listed` and `image_folders.load`."""
    split = Split(validation_fraction=validation_fraction, seed=seed, evaluate_on=evaluate_on)
    return image_files.load(listed(data_dir, year), image_size, split, **how)


def listed(data_dir, year):
    """The official training and validation images (section 5.1 of arXiv:1912.02413).

    Args:
        data_dir: folder with the two files of `FILES` and the images where their `file_name` says; in 2018 and 2019
            names of the classes are numbers unless categories.json, which was published later, is there too.
        year: of `FILES`; "2021_mini" are 50 images of each of 2021's 10,000 classes.

    Returns:
        `Listed`, classes in the order of their ids; the validation images are what the paper evaluates on: "test".

    Raises:
        UserError: a file is missing or not like that.
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
    train, test = (_image_files(*table[:2], classes, file) for table, file in zip(tables, files, strict=True))
    return Listed(str(root), tuple(str(names[category]) for category in classes), {"train": train, "test": test})


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


def _image_files(images, annotations, classes, file):
    """`ImageFiles` in the order of the images; an image's path below its class is its `file_name`.

    Raises:
        UserError: an image has not one annotation, a category is unknown, or a file can't have such a name.
    """
    label_of = {category: label for label, category in enumerate(classes)}
    category_of = dict(annotations)
    if len(category_of) != len(annotations):
        raise UserError(f"{file}: an image has more than one annotation")
    try:
        labels = [label_of[category_of[image]] for image, _ in images]
    except KeyError as error:
        raise UserError(f"{file}: an image has no annotation, or one of an unknown category ({error})") from error
    if unusable := [str(name) for _, name in images if not list_files.can_be_a_file(str(name))]:
        raise UserError(f"{file}: {ascii(unusable[0])} can't be the name of a file")
    folder = bytes(file.parent) + b"/"
    paths = [folder + os.fsencode(str(name)) for _, name in images]
    return files_of_rows(list(zip(paths, labels, [len(folder)] * len(paths), strict=True)))
