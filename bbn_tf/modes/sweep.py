"""--mode=sweep: trains all runs of a plan."""

import functools

from bbn_tf import flag_files, flags
from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.errors import UserError
from bbn_tf.modes import earlier_runs
from bbn_tf.runs import report
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.plan import Plan
from bbn_tf.runs.sweep import sweep


def run(config):
    """Trains the unfinished runs, then writes a report of the finished ones."""
    plan = read_plan(config)
    data = [f"--data_dir={config.data_dir}"] if config.data_dir else []
    check_plan(plan, data)
    try:
        sweep(plan, config.jobs, data)
    finally:
        if any(RunFolder(one.folder).is_finished() for one in plan.runs()):
            report.report(plan)


def read_plan(config):
    """Reads the `Plan` of --plan; `flag_files` finds it, and the files that its relative paths name."""
    located = functools.partial(flag_files.located, paths=flags.INPUTS)
    return Plan(flag_files.found(config.plan), config.model_dir, located)


def check_plan(plan, data=(), to_run=True):
    """Checks the flags of every run of a plan before the first run starts.

    Args:
        plan: `bbn_tf.runs.plan.Plan`.
        data: arguments that every run gets besides its own.
        to_run: whether the runs will be trained; if not, they are only read.

    Raises:
        UserError: the flags of a run are wrong; the message names the row and the column.
    """
    settings = {}

    def settings_of(folder):
        """Of a run of the plan, or of another that a flag file of the plan names."""
        return settings.get(folder) or RunFolder(folder, flag="from_run").read_settings()

    for one in plan.runs():
        try:
            config = flags.parse([*data, *one.command()], settings_of)
            _check_start(config, one, settings)
        except UserError as error:
            raise UserError(f"--plan={plan.path}: {one.row}, {one.column}: {error}") from error
        settings[str(one.folder)] = config.settings()
        ignore = () if to_run or one.after is None else (one.start,)  # the folder may have moved since
        RunFolder(one.folder).check(config.settings(), overwrite=False, defaults=DEFAULT_TEXTS, ignore=ignore)


def _check_start(config, run, settings):
    """Raises UserError if the flags of a run make no run, or one that the weights it starts from do not fit.

    Args:
        config: `Config` of the run.
        run: `bbn_tf.runs.plan.PlannedRun`.
        settings: dict folder -> settings of the runs that come before it.
    """
    if config.mode not in ("train", "probe"):
        raise UserError(f"--mode={config.mode} is not a run")
    if run.start != "init_from":
        return
    first, own = settings[str(run.after)], config.settings()
    if first.get("mode") == "probe":
        raise UserError("init_from: the run it starts from is a second stage; must be the run before that")
    for name in ("backbone", "cut_layer"):
        if first.get(name) != own.get(name):
            there = f"--{name}={first[name]}" if name in first else f"no --{name}"
            raise UserError(f"--{name}={own.get(name)}: must be that of the run it starts from, which has {there}")
    if not config.row("dataset").files:
        earlier_runs.check_settings(config, flags.as_trained(run.after, first), run.after)
