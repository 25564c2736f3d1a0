"""Whether image files are whole: at a glance before a training, in full for a first look or to name what failed."""

import contextlib
import hashlib
import multiprocessing.pool
import os
import sys

import keras
import tensorflow as tf

from bbn_tf.data import decoding
from bbn_tf.errors import UserError

THREADS = 16  # a disk, and a network's more so, answers many at a time
TAIL = 4096  # bytes at the end of a file that are looked at
MOST_NAMED = 3
TRAIN_AGAIN = (
    "put whole files in their place and train again with --overwrite, or leave them out in a new run with "
    "--skip_unreadable (--mode=describe lists all)"
)


def glance(paths):
    """Finds files that are cut off, empty, unreadable or no image, by their first and last bytes.

    What these leave in doubt is decoded.  Damage in the middle of a file that is whole at both ends is not seen;
    `Inspection` sees what the decoder can.

    Args:
        paths: sequence of bytes.

    Returns:
        dict index -> reason, of the damaged ones.
    """
    return _damaged(_in_parallel(_glance_at, paths, "checking files"))


def decode(paths):
    """Decodes every file in full: like `glance`, but sees what the decoder can."""
    return _damaged(reason for _, reason in _in_parallel(_read_in_full, paths, "decoding files"))


class Inspection:
    """Callable like `glance` that reads and decodes every file in full, and remembers what it saw.

    Attributes:
        digests: dict path (bytes) -> hash of the content, of all files that are whole.
        damaged: dict path -> reason, of the others.
    """

    def __init__(self):
        self.digests, self.damaged = {}, {}

    def __call__(self, paths):
        seen = _in_parallel(_read_in_full, paths, "decoding files")
        for path, (digest, reason) in zip(paths, seen, strict=True):
            (self.damaged if reason else self.digests)[path] = reason or digest
        return _damaged(reason for _, reason in seen)

    def duplicates(self):
        """List of lists of paths that have the same content, the largest groups first."""
        groups = {}
        for path, digest in self.digests.items():
            groups.setdefault(digest, []).append(path)
        return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)


@contextlib.contextmanager
def naming_damaged(paths, advice=TRAIN_AGAIN):
    """If reading fails within the block, finds out which files it was; tf.data's own message does not say.

    Args:
        paths: () -> sequence of bytes, the files that are read in the block.
        advice: what to do about them.

    Raises:
        UserError: names them.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        files = paths()
        damaged = Inspection()(files)
        if not damaged:
            raise
        raise UserError(f"{named(files, damaged)}: can't be decoded; {advice}") from error


def named(paths, damaged, naming=None):
    """Text that names the first files of `damaged` (dict index -> reason) and counts the others.

    Args:
        paths: sequence of bytes.
        damaged: see `glance`.
        naming: function path -> text; None for `shown`.
    """
    first = [f"{(naming or shown)(paths[i])} ({reason})" for i, reason in list(damaged.items())[:MOST_NAMED]]
    more = len(damaged) - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")


def shown(path, folder=None):
    """A path (bytes), from `folder` on, as text that any terminal can print."""
    text = os.fsdecode(os.path.relpath(path, os.fsencode(folder)) if folder else path)
    return text.encode("utf-8", "backslashreplace").decode()


def _damaged(reasons):
    return {i: reason for i, reason in enumerate(reasons) if reason}


def _glance_at(path):
    """Reason why a file can't be used, or None."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(12)
            file.seek(max(0, size - TAIL))
            tail = file.read()
        if not _whole(head, tail, size):
            return _decoding_error(_content(path))
    except OSError as error:
        return error.strerror or str(error)
    return None


def _whole(head, tail, size):
    """Whether both ends are those of a whole JPEG, PNG or WebP file."""
    if head.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" in tail
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return tail.endswith(b"IEND\xaeB`\x82")
    return head.startswith(b"RIFF") and head[8:] == b"WEBP" and int.from_bytes(head[4:8], "little") + 8 == size


def _read_in_full(path):
    """(hash of the content or None, reason why the file can't be used or None)."""
    try:
        content = _content(path)
    except OSError as error:
        return None, error.strerror or str(error)
    return hashlib.blake2b(content, digest_size=16).digest(), _decoding_error(content)


def _content(path):
    with open(path, "rb") as file:
        return file.read()


def _decoding_error(content):
    if not content:
        return "empty"
    reason = decoding.refusal(content)
    return reason and reason.partition(". ")[0].rstrip(".")[:80]


def _in_parallel(function, paths, doing):
    """List of the results, in order; with a bar on a terminal."""
    progress = None
    if sys.stdout.isatty():
        print(f"{doing}: {len(paths)}")
        progress = keras.utils.Progbar(len(paths), unit_name="file")
    results = []
    with multiprocessing.pool.ThreadPool(THREADS) as pool:
        for result in pool.imap(function, paths, chunksize=64):
            results.append(result)
            if progress and (len(results) % 256 == 0 or len(results) == len(paths)):
                progress.update(len(results))
    return results
