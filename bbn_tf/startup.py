"""TensorFlow's start: what it writes then is held back unless it matters, and a GPU that it can't use is named.

TensorFlow writes its notices to file descriptor 2, past Python's `sys.stderr`.
"""

import contextlib
import glob
import os
import re
import subprocess
import sys
import tempfile

ALL_LINES = "TF_CPP_MIN_LOG_LEVEL=0"  # in the environment: nothing is held back
GPU_FILES = ("/dev/nvidia[0-9]*", "/usr/lib/wsl/lib/libcuda.so.1")  # what NVIDIA's driver makes; the second in WSL
NOTICES = re.compile(
    r"I\d{4} "  # of no importance, as TensorFlow says
    r"|WARNING: All log messages before absl::InitializeLog\(\)"
    r"|To enable the following instructions: .* rebuild TensorFlow"
)
WITHOUT_GPU = re.compile(r"E\d{4} .*failed call to cuInit")  # as it must without a driver
# `read` fails where the program has ended without a word; then its last lines are shown.
SHOW_IF_IT_DIES = 'read -r started || cat "$0" >&2; rm -f "$0"'


@contextlib.contextmanager
def held_back():
    """Holds back what is written to file descriptor 2 while TensorFlow starts.

    If it starts, what matters of it is shown then, see `what_matters`. If it does not, all is shown: at an exception,
    and by a second process if this one is aborted, as TensorFlow does on a processor that lacks its instructions.
    """
    name, _, level = ALL_LINES.partition("=")
    if "tensorflow" in sys.modules or os.environ.get(name) == level:
        yield
        return
    try:
        held, path = tempfile.mkstemp(prefix="bbn_tf_start_")
        guard = subprocess.Popen(["sh", "-c", SHOW_IF_IT_DIES, path], stdin=subprocess.PIPE, start_new_session=True)
    except OSError:  # no room for a file, or no shell: then all is shown
        yield
        return
    word = b"started\n"
    try:
        with _descriptor_2_to(held):
            yield
    except Exception:
        word = b""
        raise
    finally:
        text = os.pread(held, os.fstat(held).st_size, 0).decode(errors="replace")
        os.close(held)
        guard.communicate(word)
        if word:
            sys.stderr.write(what_matters(text, has_gpu()))


@contextlib.contextmanager
def _descriptor_2_to(file):
    """Sends what is written to file descriptor 2 to another one, `file`."""
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(file, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)


def what_matters(text, gpu):
    """The lines that a user must see.

    Args:
        text: what TensorFlow wrote while it started.
        gpu: whether this machine has an NVIDIA GPU; without one it is no news that there is no driver.
    """
    lines = [line for line in text.splitlines(keepends=True) if not NOTICES.match(line)]
    return "".join(line for line in lines if gpu or not WITHOUT_GPU.match(line))


def has_gpu():
    """Whether NVIDIA's driver offers a GPU that is not hidden from this program."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(map(glob.glob, GPU_FILES))


def unused_gpu(gpus):
    """A warning about a GPU that TensorFlow can't use; None if there is none.

    Args:
        gpus: list of those that TensorFlow can use.
    """
    if gpus or not has_gpu():
        return None
    return (
        "warning: TensorFlow can't use this machine's NVIDIA GPU, so the CPU does the work; to use it: "
        f"pip install -r requirements-gpu.txt ({ALL_LINES} shows TensorFlow's own messages)"
    )
