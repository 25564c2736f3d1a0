"""Trains and evaluates BBN and its baselines on long-tailed images.

python main.py --flagfile=flags/cifar10_lt.flags --flagfile=flags/bbn.flags --seed=1
"""

import os
import signal
import sys

from absl import app, flags, logging

from bbn_tf import flags as config_lib
from bbn_tf.errors import UserError
from bbn_tf.runs import plan as plan_lib
from bbn_tf.training import hosts

config_lib.define_flags()
flags.adopt_module_key_flags(config_lib)


def parse_flags(argv):
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit("error: " + " ".join(str(error).split()))
    except UnicodeDecodeError as error:
        sys.exit(f"error: --flagfile: holds bytes that are no UTF-8 text ({error})")


def main(argv):
    try:
        if argv[1:]:
            raise UserError(f"{argv[1]}: not a flag; flags begin with --, in flag files too")
        config = config_lib.from_flags(flags.FLAGS)
        run(config)
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        print("\nstopped" + how_to_go_on(flags.FLAGS))
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    except BrokenPipeError:  # who read our output is gone, as `head` is after its lines
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes
        sys.exit(128 + signal.SIGPIPE)


def how_to_go_on(values):
    if values.mode not in ("train", "compare", "probe", "sweep"):
        return ", nothing was written"
    without = " without --overwrite" if values.overwrite else ""
    return f"; finished epochs are saved, the same command{without} goes on after them"


def run(config):
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend not in ("tensorflow", "jax"):
        raise UserError(f"KERAS_BACKEND={backend}: must be tensorflow or jax")
    if config.mode in config_lib.PLAN_MODES:
        return run_plan(config)
    with hosts.ending_together(config):
        run_mode(config)


def run_mode(config):
    logging.set_verbosity(logging.WARNING)  # TensorFlow's and TFDS's notes of what they do go through absl
    from bbn_tf.modes import (
        describe,
        export,
        predict,
        train,  # only now: TensorFlow takes seconds to import
    )
    from bbn_tf.runs import report

    if config.mode in ("train", "probe"):
        figures = train.train_and_evaluate(config)
        if figures is not None:
            report.print_figures(figures)
    elif config.mode == "evaluate":
        report.print_figures(train.evaluate_saved(config))
    elif config.mode == "compare":
        report.compare(config, train.train_and_evaluate)
    elif config.mode == "export":
        export.export(config)
    elif config.mode == "predict":
        predict.predict(config)
    elif config.mode == "describe":
        describe.describe(config)


def run_plan(config):
    """Needs no TensorFlow itself: the runs are processes of their own."""
    from bbn_tf.runs import report, sweep

    if not config.plan:
        return print(report.report(plan_lib.FoundRuns(config.model_dir)))
    plan = plan_lib.Plan(config.plan, config.model_dir)
    config_lib.check_plan(plan, to_run=config.mode == "sweep")
    if config.mode == "report":
        return print(report.report(plan))
    data = [f"--data_dir={config.data_dir}"] if config.data_dir else []
    try:
        sweep.sweep(plan, config.jobs, data)
    finally:
        if any(sweep.is_finished(run.folder) for run in plan.runs()):
            report.report(plan)


def interrupt(signum, frame):
    raise KeyboardInterrupt(signum)


if __name__ == "__main__":
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, interrupt)
    app.run(main, flags_parser=parse_flags)
