"""The images of a data set's lists as arrays, and whether the lists fit each other and the folder of images."""

import dataclasses
import os

import numpy as np

from bbn_tf.data import file_checks, list_files, list_labels
from bbn_tf.errors import UserError

PROBED = 100  # images of a list that are looked for to tell a wrong folder from missing files
PARENTS = 3  # folders above --data_dir in which they are looked for, too


@dataclasses.dataclass(frozen=True)
class ListedImages:
    """Images of lists, in their order.

    Attributes:
        titles: of the lists, "--train_list=FILE".
        units: what a place in each of them is, "line" or "annotation".
        lists: int64 [N], in which list an image is, from 0.
        places: int64 [N], on which line, from 1.
        paths: bytes [N], where its file is.
        labels: int64 [N].
        groups: bytes [N], empty for an image of a list without groups; None if no list has them.
    """

    titles: tuple[str, ...]
    units: tuple[str, ...]
    lists: np.ndarray
    places: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None

    def __len__(self):
        return len(self.labels)

    def take(self, chosen):
        """Those of `chosen`, bool [N]."""
        groups = None if self.groups is None else self.groups[chosen]
        arrays = (array[chosen] for array in (self.lists, self.places, self.paths, self.labels))
        return ListedImages(self.titles, self.units, *arrays, groups)

    def title(self, index=0):
        """ "--train_list=FILE", the list that an image is in."""
        return self.titles[self.lists[index]]

    def place(self, index):
        """ "line 7"."""
        return f"{self.units[self.lists[index]]} {self.places[index]}"

    def at(self, index):
        """ "--train_list=FILE: line 7"."""
        return f"{self.title(index)}: {self.place(index)}"


def read(files, root, names_file=None, columns=None):
    """Reads the lists of a data set.

    Args:
        files: dict name of a setting -> path of the list, the one to train on first.
        root: folder where the paths in the lists begin.
        names_file, columns: see `list_labels.of_lists`, `list_files.read`.

    Returns:
        Tuple of C class names, and `ListedImages` of all lists.

    Raises:
        UserError: a list can't be read, or a line is not like the others.
    """
    lists = [list_files.read(flag, file, columns) for flag, file in files.items()]
    names, labels = list_labels.of_lists(lists, names_file)
    sizes = [len(images.paths) for images in lists]
    groups = None
    if any(images.groups for images in lists):
        groups = [group for images, size in zip(lists, sizes, strict=True) for group in images.groups or [""] * size]
        groups = np.array([group.encode() for group in groups], np.bytes_)
    return names, ListedImages(
        tuple(images.title for images in lists),
        tuple(images.unit for images in lists),
        np.repeat(np.arange(len(lists)), sizes),
        np.concatenate([np.array(images.places, np.int64) for images in lists]),
        list_files.absolute([path for images in lists for path in images.paths], root),
        np.concatenate(labels),
        groups,
    )


def refuse_repeated(images, allow_overlap):
    """Finds images that are listed twice, and images and groups that two lists have in common.

    Args:
        images: `ListedImages` of all lists.
        allow_overlap: whether lists may have some in common, images with the same label.

    Raises:
        UserError: names the first of them and counts the others.
    """
    first = _first_places(images.paths)
    for index in np.flatnonzero(images.labels[first] != images.labels):
        shown = file_checks.shown(images.paths[index])
        raise UserError(f"{images.at(index)}: {shown} has another label in {images.at(first[index])}")
    own = _first_places(first * len(images.titles) + images.lists)  # in its own list, whatever the others hold
    twice = own != np.arange(len(images))
    _refuse_again(images, "image", images.paths, own, twice, "remove one of them")
    if allow_overlap:
        return
    ways_out = "remove one of them, or allow it with --allow_overlap"
    _refuse_again(images, "image", images.paths, first, images.lists[first] != images.lists, ways_out)
    if images.groups is not None:
        first = _first_places(images.groups)
        across = (images.lists[first] != images.lists) & (images.groups != b"")
        _refuse_again(images, "group", images.groups, first, across, ways_out)


def _first_places(values):
    """int64 [N], for each value the index where it occurs first."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]


def _refuse_again(images, what, values, first, again, ways_out):
    """Raises UserError if an element of `again`, bool [N], is true."""
    if not again.any():
        return
    index = np.flatnonzero(again)[0]
    more = f" ({again.sum():,} like this)" if again.sum() > 1 else ""
    raise UserError(
        f"{images.at(index)}: {what} {file_checks.shown(values[index])} is in {images.at(first[index])}, too{more}; "
        f"{ways_out}"
    )


def refuse_wrong_folder(images, root):
    """Raises UserError if no image of a list is where it is looked for; says where they are, if that is near."""
    for number in range(len(images.titles)):
        own = images.take(images.lists == number)
        probed = own.paths[:: -(-len(own) // PROBED)].tolist()
        if any(map(os.path.exists, probed)):
            continue
        raise UserError(
            f"{own.at(0)}: {file_checks.shown(probed[0])} does not exist, and so all {len(probed)} images of the list "
            f"that were looked for; {_advice(probed, os.fsencode(root))}"
        )


def _advice(paths, root):
    """What to do about `paths` (bytes) that are not below `root`."""
    below = [os.path.relpath(path, root) for path in paths]
    for folder in _folders_near(root):
        if all(os.path.exists(os.path.join(folder, path)) for path in below):
            return f"they are in {file_checks.shown(folder)}: name it by --data_dir"
    paths = below if all(path.startswith(root) for path in paths) else paths  # as they stand in the list
    parts = paths[0].split(b"/")
    for cut in range(1, len(parts)):
        prefix = b"/".join(parts[:cut]) + b"/"
        if all(p.startswith(prefix) and os.path.exists(os.path.join(root, p[len(prefix) :])) for p in paths):
            return f"they are found without {file_checks.shown(prefix)}, with which all begin: remove it from the list"
    return "--data_dir must be the folder where the paths of the list begin"


def _folders_near(root):
    """Paths of the folders above and just below `root`."""
    above = root
    for _ in range(PARENTS):
        above = os.path.dirname(above)
        yield above
    with os.scandir(root) as entries:
        yield from sorted(entry.path for entry in entries if entry.is_dir())
