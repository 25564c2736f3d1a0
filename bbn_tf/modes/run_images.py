"""How a run finds its images: by its record, by the rule of older versions, or as a new run does."""

import pathlib
import unicodedata

from bbn_tf import flags
from bbn_tf.data import record as record_lib
from bbn_tf.data import recorded, tfds_origin
from bbn_tf.data.datasets import DATASETS
from bbn_tf.errors import UserError
from bbn_tf.modes import build, earlier_runs
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import hosts

LOST = (
    "{}: lacks images.csv, the list of its images: without it some that it was trained on would be tested on; put it "
    "back, or train again with --overwrite"
)


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
    files = config.row("dataset").files
    options = _options(config, run) if files else {}
    data = build.dataset(config, **options)
    if not files and hosts.from_first(config.overwrite or not has_trained(run)):  # what an older version began goes on
        earlier_runs.check(config, data.origin)
    if data.origin is not None:
        _check_origin(config, run, data.origin)
    if config.from_run is not None and config.row("classifier").keeps and files:
        first = RunFolder(config.from_run, flag="from_run").read_metrics()
        if first is not None:
            recorded.check_class_names(first["class_names"], data.class_names, config.from_run, config.data_dir)
    return data, options


def _check_origin(config, run, origin):
    """Compares what TFDS holds with what a run was trained on, and with what its first stage was."""
    own = tfds_origin.read(run.path) if run.writes and not config.overwrite else None
    if own is not None:
        own.check(origin, run.path, ", or train again with --overwrite")
    first = tfds_origin.read(config.from_run) if config.from_run is not None else None
    if first is not None and (first.name, first.splits) == (origin.name, origin.splits):
        first.check(origin, config.from_run, "")


def _options(config, run):
    """dict: see `bbn_tf.data.file_sets.load`, and `old`, for the rule of older versions."""
    goes_on = not config.overwrite and run.writes and (record_lib.is_there(run.path) or has_trained(run))
    record = _record(run.path) if goes_on else None
    old = hosts.from_first(goes_on and record is None)
    if old:
        return {"old": True}
    if record is not None:
        return {"record": record}
    if config.from_run is not None:
        return _of_first_stage(config)
    if not config.init_from:
        return {}
    return {"started_from": started_from(config.init_from, config.dataset, config.data_dir)}


def _record(folder):
    """`Record` of a run, None of one of an older version, which kept none."""
    if _has_lost_its_list(folder):
        raise UserError(LOST.format(folder))
    return record_lib.read(folder)


def _has_lost_its_list(folder):
    """Whether a run of image files once had a record and has none now."""
    recorded_once = not record_lib.is_there(folder) and "images" in (RunFolder(folder).read_metrics() or {})
    return recorded_once and _of_files(folder)


def _of_files(folder):
    """Whether the images of a run are files."""
    return bool(DATASETS[RunFolder(folder).read_settings()["dataset"]].files)


def _of_first_stage(config):
    first = RunFolder(config.from_run, flag="from_run")
    record = _record(first.path)
    if record is None:
        return {"old": True} if _of_files(first.path) else {}
    return {"record": record, "use": "second_stage" if config.row("classifier").keeps else "retrain"}


def told_apart(data):
    """Text that is the same on hosts that have the same training images, wherever they lie; "" of built-in data."""
    if data.origin is not None:
        return data.origin.digest()
    parts = getattr(data, "parts", None)
    return repr(parts["train"].identities()) if parts else ""


def has_trained(run):
    """Whether there is anything that a run has learned; on hosts that follow, False."""
    return run.writes and (run.model_file.is_file() or bool(run.checkpoint_files()))


def of_finished(config, run):
    """The data set that a finished run is evaluated on, as its training did."""
    if not config.row("dataset").files:
        data, origin = build.dataset(config), tfds_origin.read(run.path)
        if data.origin is not None and origin is not None:
            origin.check(data.origin, run.path, "", ordered=data.evaluated_on == "validation")
        if (run.read_metrics() or {}).get("evaluated_on", data.evaluated_on) != data.evaluated_on:
            earlier_runs.check(config, data.origin)
        return data
    record, metrics = _record(run.path), run.read_metrics() or {}
    if record is not None:
        return build.dataset(config, record=record, use="evaluate")
    evaluated = config.evaluate_on or ("validation" if config.validation_fraction else "test")
    same = metrics.get("evaluated_on", evaluated) == evaluated  # else its number of images says nothing
    return build.dataset(config, old=True, counts=(metrics.get("num_train"), metrics.get("num_eval") if same else None))


def write_record(run, data, options):
    """Writes the record of a run that begins.

    Returns:
        `Record` of the run, or `Origin` of its TFDS data set, new or not; None if it has none.
    """
    if data.origin is not None:
        return _write_origin(run, data.origin)
    if getattr(data, "parts", None) is None or (options.get("old") and has_trained(run)):
        return None
    record = options.get("record")
    if record is not None and record.place == run.path:
        return record
    rows = data.identities(options.get("started_from") or record)
    return record_lib.write(run.path, data.class_names, rows) if run.writes else None


def _write_origin(run, origin):
    """`Origin` of a run, written if it begins; None of one that an older version began, or on hosts that follow."""
    there = tfds_origin.read(run.path) if run.writes else None
    if there is None and run.writes and not has_trained(run):
        tfds_origin.write(run.path, origin)
        return origin
    return there


def started_from(path, dataset=None, data_dir=None):
    """`Record` of the run that weights are taken from, None if there is none.

    Args:
        path: its folder or its `.keras` file, or another file.
        dataset, data_dir: of the run that starts; that is where the images of an older one are looked for that did not
            keep its own folder.
    """
    folder = earlier_runs.folder_of(path)
    if folder is None:
        return None
    if record_lib.is_there(folder):
        return record_lib.read(folder)
    try:
        there = RunFolder(folder, flag="init_from").read_settings()
        same = there.get("dataset") == dataset and "data_dir" not in there
        first = flags.of_finished_run(folder, **({"data_dir": data_dir} if same else {}))
        if not first.row("dataset").files:
            return None
        data = None if _has_lost_its_list(folder) else build.dataset(first, old=True)
    except UserError as error:
        print(
            f"note: --init_from={path}: an older run, whose images can't be compared with these ({error}): if it was "
            "trained on some that are evaluated on here, the errors come out too low"
        )
        return None
    if data is None:
        raise UserError(LOST.format(folder))
    names = tuple(unicodedata.normalize("NFC", name) for name in data.class_names)
    return record_lib.Record(pathlib.Path(folder), names, {**dict.fromkeys(record_lib.ROWS, []), **data.identities()})
