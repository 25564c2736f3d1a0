"""Atomic writing of files, and clear messages when a file can't be written."""

import contextlib
import json
import os
import pathlib
import tempfile
import zipfile

from bbn_tf.errors import UserError

TEMPORARY = ".tmp-"  # prefix of unfinished files; a killed process leaves them behind


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path`; when the block ends without an error, it replaces `path` atomically.

    Raises:
        UserError: the disk is full, or the folder is missing or not writable; the old file at `path` is kept.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{TEMPORARY}{path.name}")  # keeps the suffix, from which Keras derives the format
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
    """Writes the folder's list of names to the disk; fsync on a file writes only its content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_whole(path):
    """Raises zipfile.BadZipFile if a `.keras` or `.npz` file is damaged; both are zip files with checksums."""
    with zipfile.ZipFile(path) as archive:
        if (part := archive.testzip()) is not None:
            raise zipfile.BadZipFile(part)


@contextlib.contextmanager
def writing(path):
    """Turns an OSError in the block (a full disk, a missing folder) into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error})") from error


def write_json(path, content):
    """Writes `content` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def check_output(path, overwrite):
    """Raises UserError if --output can't be written, or if it exists and must not be replaced."""
    path = pathlib.Path(path)
    if path.is_dir():
        raise UserError(f"--output={path}: is a folder; must be a file to write")
    if path.exists() and not overwrite:
        raise UserError(f"--output={path}: already exists; name another file, or replace it with --overwrite")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise UserError(f"--output={path}: can't be written ({error.strerror or error})") from error
