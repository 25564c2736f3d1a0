"""The record of a run's images: a text file that says which images it trains and is evaluated on.

    # images of a run: 48 of 3 classes
    part,class,path below the class,bytes
    class,ant,,
    train,ant,00.jpg,1234
    unreadable,ant,03.jpg,77

First the classes in their order, then the images of every part, those to train on in the order of the run's draws.
Same class, path and size is the same image.
"""

import contextlib
import csv
import dataclasses
import gzip
import io
import pathlib
import re
import zlib

from bbn_tf.data.image_parts import PARTS
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path

NAME, PACKED = "images.csv", "images.csv.gz"
PACKED_ABOVE = 10_000  # images
COLUMNS = ["part", "class", "path below the class", "bytes"]
UNREADABLE, EARLIER = "unreadable", "earlier"  # left out by --skip_unreadable; trained on by the run it started from
ROWS = (*PARTS, UNREADABLE, EARLIER)
HEAD = re.compile(r"# images of a run: (\d+) of (\d+) classes")


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run knows of its images.

    Attributes:
        place: the run's folder, for messages.
        class_names: C names in order.
        parts: dict of `ROWS` -> list of (label, path below the class, size in bytes).
    """

    place: pathlib.Path
    class_names: tuple[str, ...]
    parts: dict

    def digest(self):
        """Text that is the same for the same images, whichever are validated on and in whatever order."""
        sides = [("test", self.parts["test"]), ("train", self.parts["train"] + self.parts["validation"])]
        rows = sorted((side, self.class_names[label], *key) for side, keys in sides for label, *key in keys)
        return f"{zlib.crc32(repr(rows).encode()):08x}"


def write(folder, class_names, parts):
    """Writes the record into a run's folder.

    Args:
        folder: the run's.
        class_names: C texts.
        parts: see `Record`; a part that is left out is empty.

    Returns:
        `Record`.

    Raises:
        UserError: it can't be written.
    """
    folder = pathlib.Path(folder)
    rows = {part: parts.get(part, []) for part in ROWS}
    record = Record(folder, tuple(class_names), rows)
    total = sum(map(len, rows.values()))
    name, other = (PACKED, NAME) if total > PACKED_ABOVE else (NAME, PACKED)
    with atomic_path(folder / name) as temporary, _text(temporary, "wb") as file:
        file.write(f"# images of a run: {total} of {len(class_names)} classes\n")
        writer = csv.writer(file)  # its own line ends, or it would not quote a name with one of them
        writer.writerow(COLUMNS)
        writer.writerows(("class", name, "", "") for name in class_names)
        for part, keys in rows.items():
            writer.writerows((part, class_names[label], name, size) for label, name, size in keys)
    (folder / other).unlink(missing_ok=True)
    return record


def read(folder):
    """`Record` of a run's folder, None without one.

    Raises:
        UserError: it is damaged.
    """
    file = next((path for name in (NAME, PACKED) if (path := pathlib.Path(folder) / name).is_file()), None)
    if file is None:
        return None
    try:
        with _text(file, "rb") as text:
            head = HEAD.fullmatch(text.readline().rstrip("\n"))
            rows = list(csv.reader(text, strict=True))
        return _parsed(pathlib.Path(folder), rows, *map(int, head.groups()))
    except (OSError, EOFError, ValueError, KeyError, AttributeError, csv.Error, zlib.error) as error:
        raise UserError(
            f"{file}: damaged, can't be read as a run's list of images ({type(error).__name__}); put it back as it "
            "was, or train again with --overwrite"
        ) from error


def is_there(folder):
    """Whether a run's folder has a record."""
    return any((pathlib.Path(folder) / name).is_file() for name in (NAME, PACKED))


def delete(folder):
    """Deletes the record, if there is one."""
    for name in (NAME, PACKED):
        (pathlib.Path(folder) / name).unlink(missing_ok=True)


def _parsed(folder, rows, total, classes):
    """`Record` of rows of text; raises ValueError or KeyError if they are not a record's."""
    if rows[:1] != [COLUMNS] or len(rows) != 1 + classes + total:
        raise ValueError("rows are missing")
    names = tuple(name for part, name, *_ in rows[1 : 1 + classes] if part == "class")
    label_of = {name: label for label, name in enumerate(names)}
    if len(label_of) != classes:
        raise ValueError("classes are missing")
    parts = {part: [] for part in ROWS}
    for part, name, path, size in rows[1 + classes :]:
        parts[part].append((label_of[name], path, int(size)))
    return Record(folder, names, parts)


@contextlib.contextmanager
def _text(path, mode):
    """A text file, packed if its name ends so; without the time, so that the same images give the same file."""
    binary = gzip.GzipFile(path, mode, compresslevel=1, mtime=0) if path.suffix == ".gz" else open(path, mode)  # noqa: SIM115
    with binary, io.TextIOWrapper(binary, "utf-8", errors="surrogateescape", newline="") as text:
        yield text
