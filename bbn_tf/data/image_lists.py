"""A data set of image files that lists name."""

import dataclasses
import os

import numpy as np

from bbn_tf.data import file_checks, file_sets, image_files, listed_images
from bbn_tf.data.image_parts import ImageFiles
from bbn_tf.data.list_settings import LISTS, LISTS_OF_IMAGES
from bbn_tf.errors import UserError

PARTS = dict(zip(LISTS_OF_IMAGES, ("train", "test", "validation"), strict=True))
OF_LISTS = tuple(setting.name for setting in LISTS)


@dataclasses.dataclass(frozen=True)
class ListedByLists(file_sets.Listed):
    """Image files that lists name.

    Attributes:
        images: `ListedImages` of all lists.
    """

    images: listed_images.ListedImages | None = None
    lacking = {
        "test": "a class needs two, or name the test set by --eval_list",
        "validation": "--evaluate_on=validation needs --validation_list, or --validation_fraction",
    }

    @property
    def title(self):
        return self.images.titles[0]

    def has(self, part):
        flag = next(flag for flag, name in PARTS.items() if name == part)
        return f"since --{flag} names the {part} images"

    def without_image(self, label):
        """Names the first line of the class."""
        first = self.images.at(np.flatnonzero(self.images.labels == label)[0])
        return f"{first}: class {self.class_names[label]!r} has no image left to train on; every class needs one"

    def shown(self, path):
        """ "--train_list=FILE: line 7, PATH"."""
        return f"{self.images.at(np.flatnonzero(self.images.paths == path)[0])}, {file_checks.shown(path)}"


def load(data_dir, image_size, **settings):
    """Images whose paths and labels stand in list files.

    Args:
        data_dir: folder where the paths in the lists begin.
        image_size: side of the crop that the network sees.
        **settings: of `listed`, `file_sets.Split` and `file_sets.load`.

    Returns:
        `FileDataset`.
    """
    of_split = [field.name for field in dataclasses.fields(file_sets.Split)]
    lists, split = ({n: settings.pop(n) for n in names if n in settings} for names in (OF_LISTS, of_split))
    return image_files.load(listed(data_dir, **lists), image_size, file_sets.Split(**split), **settings)


def listed(
    data_dir,
    train_list,
    eval_list=None,
    validation_list=None,
    class_names=None,
    list_columns=(),
    expect_images=(),
    allow_overlap=False,
):
    """Reads lists: see `list_files` for their formats, `list_labels` for the classes.

    Args:
        data_dir: folder where the paths in the lists begin.
        train_list: path of the list of the images to train on.
        eval_list: of the test set; None to hold out a part of `train_list`, by class, and groups as a whole.
        validation_list: of the images to choose settings by; None without.
        class_names: path of a file that names the classes in order; None without.
        list_columns: see `list_files.read`; empty for the usual ones.
        expect_images: (images to train on, images of the test set) that the lists must have; empty for any numbers.
        allow_overlap: whether two lists may have an image or a group in common.

    Returns:
        `ListedByLists`.

    Raises:
        UserError: a list is not like that, or does not fit the others or the folder.
    """
    root = os.path.abspath(data_dir)
    if not os.path.isdir(root):
        raise UserError(f"--data_dir={data_dir}: is no folder; must be the one where the paths of the lists begin")
    files = {"train_list": train_list, "eval_list": eval_list, "validation_list": validation_list}
    files = {flag: file for flag, file in files.items() if file is not None}
    names, images = listed_images.read(files, root, class_names, list_columns)
    if len(names) < 2:
        raise UserError(f"--train_list={train_list}: has one class only, {names[0]!r}; needs two or more")
    if expect_images:
        _check_numbers(np.bincount(images.lists), eval_list, expect_images, images.titles)
    listed_images.refuse_repeated(images, allow_overlap)
    listed_images.refuse_wrong_folder(images, root)
    parts = {PARTS[flag]: files_of(images, images.lists == number, root) for number, flag in enumerate(files)}
    if eval_list is None:
        parts["all"] = parts.pop("train")
    groups = {} if images.groups is None else dict(zip(images.paths.tolist(), images.groups.tolist(), strict=True))
    return ListedByLists(root, names, parts, groups, images)


def files_of(images, chosen, root):
    """`ImageFiles` of chosen `ListedImages`; an image's path below its class is the one from `root` on."""
    start = os.path.join(os.fsencode(root), b"")
    paths = images.paths[chosen]
    return ImageFiles(paths, images.labels[chosen], np.where(np.char.startswith(paths, start), len(start), 0))


def _check_numbers(numbers, eval_list, expected, titles):
    """Raises UserError if lists have not the `expected` numbers of images (to train on, of the test set)."""
    wanted = {0: expected[0], 1: expected[1]} if eval_list is not None else {0: sum(expected)}
    for place, number in wanted.items():
        if numbers[place] != number:
            raise UserError(
                f"{titles[place]}: names {numbers[place]:,} images, and --expect_images={','.join(map(str, expected))} "
                f"wants {number:,}: is it the list of another data set?"
            )
