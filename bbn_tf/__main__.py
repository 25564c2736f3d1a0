"""The program: flags, and the mode that they name."""

import os
import signal
import sys

from absl import app, logging
from absl import flags as absl_flags

from bbn_tf import flag_files, flags, help_page, surroundings
from bbn_tf.config import SETTINGS
from bbn_tf.errors import UserError
from bbn_tf.modes.modes import MODES

surroundings.settle_tensorflow()  # when imported: a script of yours may import TensorFlow before it calls `program`

HELP = {"--help", "-help", "--helpshort", "-h", "-?"}
given_arguments = []  # the command line, before flag files are read


def main(argv):
    """Runs the mode that the command line names; a mistake, a stop and a closed pipe end with a line and a status."""
    try:
        if argv[1:]:
            raise UserError(f"{argv[1]}: not a flag; flags start with --, also in flag files")
        run(flags.from_flags(absl_flags.FLAGS, given_arguments))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        print("\nstopped" + how_to_resume(absl_flags.FLAGS))
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    except BrokenPipeError:
        nobody_reads()


def nobody_reads():
    """Ends the program when the reader of its output has gone, as `head` goes after its last line."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
    sys.exit(128 + signal.SIGPIPE)


def run(config):
    """Does what `config` (`bbn_tf.config.Config`) says."""
    surroundings.check_keras()
    if not config.row("mode").of_plan:  # whose runs are programs of their own
        surroundings.settle_keras()
    logging.set_verbosity(logging.WARNING)  # TensorFlow's and TFDS's notes of what they do go through absl
    config.row("mode")(config)


def how_to_resume(values):
    if not MODES[values.mode].resumes:
        return ", no file was left half-written"
    without = " without --overwrite" if values.overwrite else ""
    return f"; finished epochs are saved, the same command{without} resumes after them"


def parse_flags(argv):
    """Returns the arguments that are not flags. A wrong flag, or --help, ends the program."""
    if HELP & set(argv[1:]):
        try:
            print(help_page.page(SETTINGS), flush=True)
        except BrokenPipeError:
            nobody_reads()
        sys.exit(0)
    try:
        given_arguments[:] = argv[1:]
        return absl_flags.FLAGS([argv[0], *flag_files.expand(argv[1:], flags.INPUTS)])
    except (absl_flags.Error, UserError) as error:
        sys.exit("error: " + " ".join(str(error).split()))


def interrupt(signum, frame):
    raise KeyboardInterrupt(signum)


def program():
    """What main.py, `python -m bbn_tf` and the command `bbn-tf` call."""
    surroundings.show_any_text()
    flags.define()
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, interrupt)
    app.run(main, flags_parser=parse_flags)


if __name__ == "__main__":
    program()
