"""Processes of the tests: what they find imported, how they end, what they wrote."""

import signal

import pytest

from tests import forked


def test_tensorflow_is_imported_and_keras_is_not():
    program = "import sys; print(*(name in sys.modules for name in ('tensorflow', 'keras', 'bbn_tf')))"
    assert forked.run("-c", program).stdout == "True False False\n"


@pytest.mark.parametrize(
    ("end", "status", "stderr"),
    [
        ("", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('error: no')", 1, "error: no\n"),
        ("import os; os._exit(4)", 4, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("import atexit, sys; atexit.register(print, 'last', file=sys.stderr)", 0, "last\n"),
    ],
)
def test_ends(end, status, stderr, tmp_path):
    program = f"import os; print(os.environ['WORD'], os.getcwd(), flush=True)\n{end}"
    process = forked.run("-c", program, cwd=tmp_path, WORD="there")
    assert (process.returncode, process.stdout, process.stderr) == (status, f"there {tmp_path}\n", stderr)


def test_one_that_hangs_is_killed():
    process = forked.Process("-c", "import time; print('begun', flush=True); time.sleep(600)")
    with pytest.raises(AssertionError, match="still running after 1 s: .*begun"):
        process.communicate(1)
    process._process.join()
    assert process.returncode == -signal.SIGKILL
