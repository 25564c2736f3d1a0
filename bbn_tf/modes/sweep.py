"""--mode=sweep: all runs of a plan."""

import functools

from bbn_tf import flag_files, flags
from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.errors import UserError
from bbn_tf.runs import report
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.plan import Plan
from bbn_tf.runs.sweep import sweep


def run(config):
    """Makes the runs that are not finished, and a report of those that are."""
    plan = read_plan(config)
    check_plan(plan)
    data = [f"--data_dir={config.data_dir}"] if config.data_dir else []
    try:
        sweep(plan, config.jobs, data)
    finally:
        if any(RunFolder(one.folder).is_finished() for one in plan.runs()):
            report.report(plan)


def read_plan(config):
    """The `Plan` of --plan, whose relative paths are looked for as `flag_files.located` says."""
    located = functools.partial(flag_files.located, paths=flags.INPUTS)
    return Plan(config.plan, config.model_dir, located)


def check_plan(plan, to_run=True):
    """Parses the flags of every run of a `bbn_tf.runs.plan.Plan`, so that no mistake shows after hours.

    Args:
        plan: `bbn_tf.runs.plan.Plan`.
        to_run: whether its runs are to be made, or only to be read.

    Raises:
        UserError: see `Config`; names the row.
    """
    settings = {}
    for one in plan.runs():
        try:
            config = flags.parse(one.command(), settings.get)
        except UserError as error:
            raise UserError(f"--plan={plan.path}: {one.row}, {one.column}: {error}") from error
        if config.mode not in ("train", "probe"):
            raise UserError(f"--plan={plan.path}: {one.row}, {one.column}: --mode={config.mode} is not a run")
        settings[str(one.folder)] = config.settings()
        ignore = () if to_run else ("from_run",)  # a folder may have been moved since
        RunFolder(one.folder).check(config.settings(), overwrite=False, defaults=DEFAULT_TEXTS, ignore=ignore)
