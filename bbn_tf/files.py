"""Files that are written whole or not at all, and the system's reasons why not."""

import contextlib
import json
import os
import pathlib
import tempfile
import zipfile

from bbn_tf.errors import UserError

TEMPORARY = ".tmp-"  # how names of files begin that were not finished, by a killed process for one


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path` that replaces it at once when the block ends well.

    Raises:
        UserError: the disk is full, the folder unwritable or gone; what stood at `path` still stands there.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")  # keeps the ending, by which Keras chooses the format
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder):
    """Brings a new name of a file to the disk, as fsync of the file does its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_whole(path):
    """Raises zipfile.BadZipFile if a `.keras` or `.npz` file is damaged: both are zips, with checksums."""
    with zipfile.ZipFile(path) as archive:
        if (part := archive.testzip()) is not None:
            raise zipfile.BadZipFile(part)


@contextlib.contextmanager
def writing(path):
    """Turns the system's reason why `path` can't be written (a full disk, a folder gone) into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error})") from error


def write_json(path, content):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def check_output(path, overwrite):
    """Raises UserError if the path of --output can't be written, or is there and may not be replaced."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise UserError(f"--output={path}: is a folder; must be a file to write")
    if path.exists() and not overwrite:
        raise UserError(f"--output={path}: already there; name another file, or replace it with --overwrite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UserError(f"--output={path}: can't be written ({error.strerror or error})") from error
