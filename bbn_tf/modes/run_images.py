"""How a run finds its images: by its record, by the rule of older versions, or as a new run does."""

import os
import pathlib
import unicodedata

from bbn_tf import flags
from bbn_tf.data import record as record_lib
from bbn_tf.data import recorded
from bbn_tf.errors import UserError
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import hosts


def dataset(config, run):
    """The data set of a training or a second stage.

    Args:
        config: `Config`.
        run: `RunFolder` of `config`.

    Returns:
        (data set, dict of the options that it was loaded with).

    Raises:
        UserError: see `bbn_tf.data.file_sets.load`.
    """
    options = _options(config, run) if config.row("dataset").splits else {}
    data = build.dataset(config, **options)
    if config.from_run is not None and config.row("classifier").keeps and config.row("dataset").splits:
        first = RunFolder(config.from_run, flag="from_run").read_metrics()
        if first is not None:
            recorded.check_class_names(first["class_names"], data.class_names, config.from_run, config.data_dir)
    return data, options


def _options(config, run):
    """dict: see `bbn_tf.data.file_sets.load`, and `old`, for the rule of older versions."""
    record = record_lib.read(run.path) if run.writes and not config.overwrite else None
    old = hosts.from_first(record is None and not config.overwrite and has_trained(run))
    if old:
        return {"old": True}
    if record is not None:
        return {"record": record}
    if config.from_run is not None:
        return _of_first_stage(config)
    return {"started_from": started_from(config.init_from)} if config.init_from else {}


def _of_first_stage(config):
    first = RunFolder(config.from_run, flag="from_run")
    record = record_lib.read(first.path)
    if record is None:
        return {"old": True}
    return {"record": record, "use": "second_stage" if config.row("classifier").keeps else "retrain"}


def has_trained(run):
    """Whether there is anything that a run has learned; on hosts that follow, False."""
    return run.writes and (run.model_file.is_file() or bool(run.checkpoint_files()))


def of_finished(config, run):
    """The data set that a finished run is evaluated on, as its training did."""
    if not config.row("dataset").splits:
        return build.dataset(config)
    record, metrics = record_lib.read(run.path), run.read_metrics() or {}
    if record is not None:
        return build.dataset(config, record=record, use="evaluate")
    evaluated = config.evaluate_on or ("validation" if config.validation_fraction else "test")
    same = metrics.get("evaluated_on", evaluated) == evaluated  # else its number of images says nothing
    return build.dataset(config, old=True, counts=(metrics.get("num_train"), metrics.get("num_eval") if same else None))


def write_record(run, data, options):
    """Writes the record of a run that begins.

    Returns:
        `Record` of the run, new or not; None if it has none.
    """
    if getattr(data, "parts", None) is None or (options.get("old") and has_trained(run)):
        return None
    record = options.get("record")
    if record is not None and record.place == run.path:
        return record
    rows = data.identities(options.get("started_from") or record)
    return record_lib.write(run.path, data.class_names, rows) if run.writes else None


def started_from(path):
    """`Record` of the run that weights are taken from, None if there is none.

    Args:
        path: its folder or its `.keras` file, or another file.
    """
    folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
    of_a_run = os.path.isdir(path) or path.endswith(".keras")
    if not of_a_run or not os.path.isfile(os.path.join(folder, "flags.txt")):
        return None
    record = record_lib.read(folder)
    if record is not None:
        return record
    try:
        config = flags.of_finished_run(folder)
        if not config.row("dataset").splits:
            return None
        data = build.dataset(config, old=True)
    except UserError as error:
        print(f"note: --init_from={path}: which images it was trained on can't be found out ({error})")
        return None
    names = tuple(unicodedata.normalize("NFC", name) for name in data.class_names)
    return record_lib.Record(pathlib.Path(folder), names, {**dict.fromkeys(record_lib.ROWS, []), **data.identities()})
