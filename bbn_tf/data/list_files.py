"""Lists of images as people have them: "path label" text, CSV with a header, and the published code's JSON."""

import collections
import csv
import dataclasses
import io
import json
import os
import re

import numpy as np

from bbn_tf.errors import UserError

COLUMNS = ("path", "label")  # of a CSV, unless others are named; a third one is the group
DELIMITERS = ",;\t"
BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16, which Windows' editors call "Unicode"
MOST_SHOWN = 60  # characters of a line in a message


@dataclasses.dataclass
class ImageList:
    """What a list says, image by image.

    Attributes:
        title: how messages name it, "--train_list=FILE".
        unit: what its places are counted in: "line" or, of JSON, "annotation".
        places: list of N numbers from 1.
        paths: list of N texts, with "/" between folders.
        labels: list of N texts, none empty.
        groups: list of N texts, none empty; None without groups.
        num_classes: int, or None where the list does not say.
    """

    title: str
    unit: str = "line"
    places: list[int] = dataclasses.field(default_factory=list)
    paths: list[str] = dataclasses.field(default_factory=list)
    labels: list[str] = dataclasses.field(default_factory=list)
    groups: list[str] | None = None
    num_classes: int | None = None

    def at(self, index):
        """ "--train_list=FILE: line 7": where the image of an index stands."""
        return f"{self.title}: {self.unit} {self.places[index]}"

    def add(self, place, path, label, group=None):
        """Takes an image; raises UserError if something is missing."""
        if not (path and label and (group or self.groups is None)):
            missing = "path" if not path else "group" if label else "label"
            needed = "path, label" + (", group" if self.groups is not None else "")
            raise UserError(f"{self.title}: {self.unit} {place}: has no {missing}; every image needs {needed}")
        self.places.append(place)
        self.paths.append(path.replace("\\", "/"))  # of lists made on Windows
        self.labels.append(label)
        if self.groups is not None:
            self.groups.append(group)


def read(flag, file, columns=None):
    """Reads a list: JSON and CSV by their endings, anything else as text, or as CSV if columns are named.

    Args:
        flag: name of the setting that names the file, for messages.
        file: path, from the working directory.
        columns: of a CSV, names of the columns of path, label and, if wanted, group; None for `COLUMNS`.

    Returns:
        `ImageList`.

    Raises:
        UserError: it can't be read, is no such list or names no image.
    """
    title = f"--{flag}={file}"
    text = read_text(title, file)
    ending = os.path.splitext(file)[1].lower()
    if ending == ".json":
        images = _read_json(title, text)
    elif ending == ".csv" or columns:
        images = _read_csv(title, text, columns or COLUMNS)
    else:
        images = _read_lines(title, text)
    if not images.paths:
        raise UserError(f"{title}: names no image; a list has a line for each")
    return images


def read_text(title, file):
    """Content of a file in UTF-8, with or without a byte order mark; `title` names it in messages.

    Raises:
        UserError: it can't be read, or is empty or no text.
    """
    try:
        with open(file, "rb") as binary:
            content = binary.read()
    except OSError as error:
        raise UserError(
            f"{title}: can't be read ({error.strerror or error}); looked for {os.path.abspath(file)}"
        ) from error
    if not content.strip():
        raise UserError(f"{title}: is empty")
    if content.startswith(BYTE_ORDER_MARKS):
        raise UserError(f"{title}: is text in UTF-16; save it in UTF-8")
    if b"\0" in content:
        raise UserError(f"{title}: line {_line_at(content, content.index(0))}: is no text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_at(content, error.start)
        raise UserError(f"{title}: line {line}: is no text in UTF-8; save it in UTF-8") from error


def _line_at(content, place):
    return content.count(b"\n", 0, place) + 1


def lines_of(text):
    """Yields (number from 1, line without its end) of the lines that are not blank; Windows's line ends too."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line := line.strip():
            yield number, line


def _read_lines(title, text):
    """The label stands after the last blank: paths may hold blanks."""
    images = ImageList(title)
    for number, line in lines_of(text):
        path, *label = line.rsplit(maxsplit=1)
        if not label:
            raise UserError(
                f"{images.title}: line {number}: {_shown(line)} has no label; must be a path, a blank and a label "
                "(of a CSV, name the columns by --list_columns)"
            )
        images.add(number, path, label[0])
    return images


def _read_csv(title, text, columns):
    delimiter = collections.Counter(c for c in text.partition("\n")[0] if c in DELIMITERS).most_common(1)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter[0][0] if delimiter else ",", strict=True)
    images = ImageList(title, groups=[] if len(columns) == 3 else None)
    try:
        header = [name.strip() for name in next(rows, [])]
        if missing := [name for name in columns if name not in header]:
            raise UserError(
                f"{title}: line 1: has no column {missing[0]!r} but {_shown(','.join(header))}; name those of path, "
                "label and, if wanted, group by --list_columns=path,label,group"
            )
        wanted = [header.index(name) for name in columns]
        for row in rows:
            if len(row) == len(header):
                images.add(rows.line_num, *(row[place].strip() for place in wanted))
            elif row:
                raise UserError(f"{title}: line {rows.line_num}: has {len(row)} columns, the header has {len(header)}")
    except csv.Error as error:
        raise UserError(f"{title}: line {rows.line_num}: is no CSV ({error})") from error
    return images


def _read_json(title, text):
    """`{"annotations": [{"fpath", "category_id", ...}], "num_classes"}`, of BBN's published code and BagofTricks-LT."""
    wanted = 'must be {"annotations": [{"fpath": ..., "category_id": ...}, ...], "num_classes": ...}'
    try:
        content = json.loads(text, object_hook=_annotation)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{title}: is no JSON ({error})") from error
    annotations = content.get("annotations") if type(content) is dict else None
    if type(annotations) is not list:
        raise UserError(f"{title}: has no list of annotations; {wanted}")
    images = ImageList(title, unit="annotation", num_classes=content.get("num_classes"))
    if type(images.num_classes) not in (int, type(None)):
        raise UserError(f"{title}: num_classes is {images.num_classes!r}; must be a whole number")
    for number, annotation in enumerate(annotations, start=1):
        if type(annotation) is not tuple or type(annotation[0]) is not str or type(annotation[1]) is not int:
            raise UserError(f"{title}: annotation {number}: has no fpath or no whole number as category_id; {wanted}")
        if not can_be_a_file(annotation[0]):
            raise UserError(f"{title}: annotation {number}: {ascii(annotation[0])} can't be the name of a file")
        images.add(number, annotation[0], str(annotation[1]))
    return images


def _annotation(entry):
    """Of an annotation (path, label), and nothing else; other objects as they are."""
    if "category_id" in entry:
        return entry.get("fpath"), entry["category_id"]
    return entry


def _shown(line):
    return repr(line if len(line) <= MOST_SHOWN else line[:MOST_SHOWN] + "...")


def absolute(paths, root):
    """bytes [N], where files lie whose paths (list of N texts) begin at the folder `root` unless they are absolute."""
    start = os.path.join(os.path.abspath(root), "")
    joined = (path if path.startswith("/") else start + path for path in paths)
    usual = re.compile(r"(?!.*/(\.{0,2})/)").match  # no "//", "/./" or "/../", as nearly all: normalising takes seconds
    return np.array([os.fsencode(path if usual(path) else os.path.normpath(path)) for path in joined], np.bytes_)


def can_be_a_file(path):
    """Whether a text can be a file's name: JSON can hold halves of characters and zeros, which none has."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
