"""main.py in the test's own process, which saves the seconds that TensorFlow takes to start."""

import signal

from absl.testing import flagsaver

from bbn_tf import __main__ as main
from bbn_tf import flags

SECONDS = 120  # for one call
flags.define()


def parse(*arguments):
    """`Config` of a command line, with flags of its own."""
    return flags.parse(arguments)


def run(*arguments):
    """What main.py does with `arguments`, in this process: (exit status, message)."""

    def hang(signum, frame):
        raise AssertionError(f"{arguments}: hangs")

    signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        with flagsaver.flagsaver():
            main.main(main.parse_flags(["main.py", *arguments]))
    except SystemExit as stop:
        return (stop.code, "") if isinstance(stop.code, int) else (1, stop.code)
    finally:
        signal.alarm(0)
    return 0, ""
