"""Labels of lists as whole numbers: what a list calls its classes, and in what order they come."""

import re
import unicodedata

import numpy as np

from bbn_tf.data import list_files
from bbn_tf.errors import UserError

WHOLE, DIGIT = re.compile(r"-?[0-9]+"), re.compile(r"[0-9]")
RULE = "labels must be whole numbers from 0 without gaps, or names"


def of_lists(lists, names_file=None):
    """Classes and labels of lists of one data set.

    Args:
        lists: `list_files.ImageList`s, the list to train on first; only its classes count.
        names_file: path of a file with a class a line, in the order of the labels: see `read_names`; None to take
            numbers for names, or the list's names in their order.

    Returns:
        Tuple of C class names, and for each list labels int64 [N].

    Raises:
        UserError: a label is not like the others, or of no class; names the line.
    """
    numbers = _check_kind(lists)
    names = read_names(names_file) if names_file is not None else None
    if numbers:
        class_names, label_of = _numbered(lists, names)
    else:
        class_names, label_of = _by_name(lists, names, names_file)
    labels = [np.fromiter((label_of[label] for label in images.labels), np.int64) for images in lists]
    for label in np.flatnonzero(np.bincount(labels[0], minlength=len(class_names)) == 0):
        name = f" ({class_names[label]!r})" if class_names[label] != str(label) else ""
        raise UserError(f"{lists[0].title}: no image of class {label}{name} to train on; {RULE}")
    return class_names, labels


def _check_kind(lists):
    """Whether all labels are whole numbers; False if none is."""
    first = lists[0].labels[0]
    numbers = WHOLE.fullmatch(first) is not None
    for images in lists:
        for label in dict.fromkeys(images.labels):
            whole = WHOLE.fullmatch(label) is not None
            if not whole and _is_number(label):
                reason = "is no whole number"
            elif whole != numbers:
                kind = "no whole number" if numbers else "a number"
                reason = f"is {kind}, but {first!r} in {lists[0].at(0)} is not so"
            else:
                continue
            where = images.at(images.labels.index(label))  # a search through all images
            raise UserError(f"{where}: label {label!r}: {reason}; {RULE}")
    return numbers


def _is_number(text):
    """Whether it is 1.0, 1e3, nan: pandas writes such for whole numbers beside missing ones."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbered(lists, names):
    """(class names, dict label's text -> label) of lists whose labels are numbers."""
    values = [{label: int(label) for label in set(images.labels)} for images in lists]
    lowest = min(values[0].values())
    if lowest == 1 and min(min(of_list.values()) for of_list in values) == 1:
        where = lists[0].at(next(i for i, label in enumerate(lists[0].labels) if int(label) == 1))
        raise UserError(f"{where}: labels begin at 1; must begin at 0: subtract 1 from each")
    if names is not None:
        class_names = tuple(name for _, name in names)
    else:
        count = lists[0].num_classes or max(values[0].values()) + 1
        class_names = tuple(map(str, range(count)))
    for images, of_list in zip(lists, values, strict=True):
        for label, value in of_list.items():
            if not 0 <= value < len(class_names):
                where = images.at(images.labels.index(label))
                raise UserError(
                    f"{where}: label {label}: must be from 0 to {len(class_names) - 1}, for the {len(class_names)} "
                    f"classes of {'--class_names' if names is not None else lists[0].title}"
                )
    return class_names, {label: value for of_list in values for label, value in of_list.items()}


def _by_name(lists, names, names_file):
    """(class names, dict label's text -> label) of lists whose labels are names, or identifiers in the names' file."""
    used = {label: unicodedata.normalize("NFC", label) for images in lists for label in set(images.labels)}
    source = f"--class_names={names_file}" if names is not None else lists[0].title
    if names is None:
        class_names = tuple(sorted({used[label] for label in lists[0].labels}))
        index = {name: i for i, name in enumerate(class_names)}
    else:
        class_names = tuple(name for _, name in names)
        index = {identifier: i for i, (identifier, _) in enumerate(names)} | {n: i for i, n in enumerate(class_names)}
    for images in lists:
        for label in dict.fromkeys(images.labels):
            if used[label] not in index:
                where = images.at(images.labels.index(label))
                raise UserError(f"{where}: class {label!r} is none of the {len(class_names)} of {source}")
    return class_names, {label: index[name] for label, name in used.items()}


def read_names(file):
    """List of C pairs (identifier, name), one for each line, in the order of the labels.

    A line is a name, or a name with an identifier: a word with a digit before it (ImageNet's "n01440764 tench"), or
    the class's number before or after it (Places' "/a/airfield 0").  Without an identifier it is the name itself.

    Raises:
        UserError: it can't be read, or two classes have the same name.
    """
    title, seen = f"--class_names={file}", {}
    for number, line in list_files.lines_of(list_files.read_text(title, file)):
        line = unicodedata.normalize("NFC", line)
        if line in seen:
            raise UserError(f"{title}: line {number}: {line!r} is the class of line {seen[line]}, too")
        seen[line] = number
    return _split_off(list(seen))


def _split_off(lines):
    """Pairs (identifier, name) of distinct lines; names that are not distinct keep their identifiers."""
    numbers = {str(number) for number in range(len(lines))}
    for split, places in ((str.split, (0, 1)), (str.rsplit, (1, 0))):
        words = [split(line, maxsplit=1) for line in lines]
        if any(len(pair) < 2 for pair in words):
            continue
        identifiers, names = ([pair[place] for pair in words] for place in places)
        pairs = list(zip(identifiers, names if len(set(names)) == len(lines) else lines, strict=True))
        if set(identifiers) == numbers:
            return sorted(pairs, key=lambda pair: int(pair[0]))
        if split is str.split and len(set(identifiers)) == len(lines) and all(map(DIGIT.search, identifiers)):
            return pairs
    return [(line, line) for line in lines]
