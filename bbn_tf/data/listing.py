"""Which files below a folder are images: found in the same way by training, describe and predict."""

import collections
import os
import pathlib

from bbn_tf.errors import UserError

ENDINGS = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".webp")  # in small or capital letters
OF_SYSTEMS = ("__macosx", "@eadir", "thumbs.db")  # left beside images by systems; so are hidden files
RUN_HEADER = b"# settings of this run;"  # how a run's flags.txt begins
PLACES_OF_FLAGS = ("flags.txt", "bbn/flags.txt", "plain/flags.txt")  # in a run's folder, and in one of --mode=compare
MOST_NAMED = 3
OF_REPORTS = ("results.csv", "results.md")


class Listing:
    """Lists the image files of folders and counts what is left out on the way.

    Attributes:
        others: `collections.Counter`, ending -> number of files that have another ending than images.
        runs: paths of run folders, which were not looked into.
    """

    def __init__(self):
        self.others, self.runs = collections.Counter(), []

    def images(self, folder):
        """Paths (text) of the image files in a folder and its folders, in the order of their names.

        Links are followed; a link whose target is gone is listed, so that it is named as unreadable later.

        Raises:
            UserError: a folder can't be read, or is a link to a folder that it lies in.
        """
        return self._below(folder, {_identity(place) for place in pathlib.Path(os.path.realpath(folder)).parents})

    def _below(self, folder, above):
        """`images` of a folder that lies in the folders of the identities `above`."""
        own = _identity(folder)
        if own in above:
            raise UserError(f"{shown(folder)}: is a link to a folder that it lies in")
        if is_of_runs(folder):
            self.runs.append(folder)
            return []
        folders, files = entries(folder)
        found = [os.path.join(folder, name) for name in files if self._is_image(folder, name)]
        for name in folders:
            found += self._below(os.path.join(folder, name), above | {own})
        return found

    def _is_image(self, folder, name):
        """Whether a file is an image by its ending; counts it if not."""
        ending = os.path.splitext(name)[1].lower()
        if ending in ENDINGS and _can_be_opened(os.path.join(folder, name)):
            return True
        self.others[ending or "without an ending"] += 1
        return False

    def notes(self):
        """list of texts: what was left out and passed over."""
        passed = [f"folders of runs, not of images, were passed over: {named(self.runs)}"] if self.runs else []
        return [text for text in (self.left_out(), *passed) if text]

    def left_out(self):
        """ "140 files left out: 70 .tif, 70 .heic", or None if all were images."""
        if not self.others:
            return None
        total = sum(self.others.values())
        counted = ", ".join(f"{count} {shown(ending)}" for ending, count in self.others.most_common())
        return f"{total} file{'s' * (total > 1)} left out: {counted}"


def entries(folder):
    """(names of the folders, names of the files) in a folder, sorted, without what systems leave there.

    Raises:
        UserError: it can't be read.
    """
    folders, files = [], []
    try:
        with os.scandir(folder) as found:
            for entry in filter(lambda entry: _is_shown(entry.name), found):
                (folders if entry.is_dir() else files).append(entry.name)
    except OSError as error:
        raise UserError(f"{shown(folder)}: can't be read ({error.strerror or error})") from error
    return sorted(folders), sorted(files)


def is_image_name(name):
    return os.path.splitext(name)[1].lower() in ENDINGS


def is_of_runs(folder):
    """Whether a folder holds a run, two of --mode=compare, or a report over runs: pictures there are no data."""
    if all(os.path.isfile(os.path.join(folder, name)) for name in OF_REPORTS):
        return True
    return any(_begins_as_flags(os.path.join(folder, name)) for name in PLACES_OF_FLAGS)


def shown(path):
    """A path or a name as one line that any terminal can print."""
    text = os.fspath(path)
    text = os.fsdecode(text) if isinstance(text, bytes) else text
    return (
        "".join(
            c if c.isprintable() or c == " " else c.encode("unicode_escape", "backslashreplace").decode() for c in text
        )
        .encode("utf-8", "backslashreplace")
        .decode()
    )


def named(paths):
    """The first of some paths or names, and how many more there are."""
    paths = list(paths)
    more = len(paths) - MOST_NAMED
    return ", ".join(map(shown, paths[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _is_shown(name):
    return not name.startswith(".") and name.lower() not in OF_SYSTEMS


def _begins_as_flags(path):
    try:
        with open(path, "rb") as file:
            return file.read(len(RUN_HEADER)) == RUN_HEADER
    except OSError:
        return False


def _can_be_opened(path):
    """Whether reading a path ends: not so of a pipe or a device."""
    return os.path.isfile(path) or not os.path.exists(path)


def _identity(folder):
    """What tells a folder from others however it is reached.

    Raises:
        UserError: it is gone or can't be reached.
    """
    try:
        found = os.stat(folder)
    except OSError as error:
        raise UserError(f"{shown(folder)}: can't be read ({error.strerror or error})") from error
    return found.st_dev, found.st_ino
