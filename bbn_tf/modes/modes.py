"""The modes by name, each with the settings that only it has."""

import os

from bbn_tf.choices import SECOND_STAGE, START, Choice, Setting, Table, at_least, not_empty
from bbn_tf.data.datasets import DATASETS
from bbn_tf.data.list_settings import LIST_FILES
from bbn_tf.modes.formats import EXPORT_FORMATS
from bbn_tf.training import hosts
from bbn_tf.training.classifiers import BRANCH, CLASSIFIER_SETTING


def _where_files_need_it(value, values):
    if value and values["mode"] == "report" and not values["plan"]:
        return "has no meaning with --mode=report without --plan, which takes the runs as they are"
    if value or not DATASETS[values["dataset"]].files or values["mode"] not in MODES.having("reads_data"):
        return None
    return f"--dataset={values['dataset']}: needs --data_dir, the folder of its images"


def _two_steps(value, values):
    if not value or (len(value) == 2 and 1 <= value[0] <= value[1]):
        return None
    return "must be START,STOP, two step numbers from 1 on, START at most STOP"


def _of_predict(value, values):
    needed = values["mode"] == "predict" and not value
    return "--mode=predict: needs --images, an image file or a folder of them" if needed else None


def _of_sweep(value, values):
    needed = values["mode"] == "sweep" and not value
    return "--mode=sweep: needs --plan, a TOML file; see flags/plans/" if needed else None


def outside_the_run(value, values):
    """Rule: a path that is not below --model_dir, which --overwrite may empty."""
    if value is None:
        return None
    path, folder = (os.path.join(os.path.realpath(p), "") for p in (value, values["model_dir"]))
    return f"must be outside --model_dir={values['model_dir']}" if path.startswith(folder) else None


def weights_to_start_from(value, values):
    """Rule for init_from."""
    inside = outside_the_run(value, values) if MODES[values["mode"]].resumes else None
    return not_empty(value, values) or inside


def _first_stage(value, values):
    if values["mode"] == "probe" and not value:
        return "--mode=probe: needs --from_run, the folder of a finished run"
    return outside_the_run(value, values) if values["mode"] == "probe" else None


def _start(name, default, help_text, **options):
    return Setting(name, default, help_text, part=START, **options)


OVERWRITE = _start("overwrite", False, "Delete an earlier run in --model_dir and start again; or replace --output.")
DATA_DIR = _start(
    "data_dir",
    None,
    "Folder of the data: TFDS's (~/tensorflow_datasets if not given), or that of the images.",
    kind=str,
    rule=_where_files_need_it,
    path=True,
)
NUM_DEVICES = _start(
    "num_devices",
    0,
    "How many GPUs (without any: CPU devices) to use; 0 for all that are visible.",
    rule=at_least(0),
)
PROFILE_STEPS = _start(
    "profile_steps",
    (),
    "START,STOP: write a trace of these steps (from 1, over the whole run) for TensorBoard; empty for none.",
    kind=tuple[int, ...],
    rule=_two_steps,
)
PLAN = _start(
    "plan",
    None,
    "TOML file of rows, columns and seeds, see flags/plans/. Without it a report is of all runs below --model_dir.",
    kind=str,
    rule=_of_sweep,
    path=True,
)
JOBS = _start("jobs", 1, "How many runs of a sweep at a time.", rule=at_least(1))
IMAGES = _start(
    "images", None, "An image file, or a folder searched through all its levels.", kind=str, rule=_of_predict, path=True
)
OUTPUT = _start(
    "output",
    "predictions.csv",
    "What to write: predict's CSV file, describe's picture, the folder of evaluate's two CSV files.",
    rule=not_empty,
    path=True,
)
FROM_RUN = Setting(
    "from_run",
    None,
    "Folder of the finished run whose representation a second stage keeps.",
    kind=str,
    rule=_first_stage,
    path=True,
    part=SECOND_STAGE,
)
TRAINING = (OVERWRITE, DATA_DIR, NUM_DEVICES, PROFILE_STEPS)

# Traits: `does`, what --help says; `reads_data`; `of_run`, all settings are the run's in --model_dir but for those in
# `overrides`; `of_plan`, all are the plan's; `resumes`, finished epochs are saved; `advises`, it says which settings
# fit those given, so that these need not fit the defaults of the others.
MODES = Table(
    "mode",
    train=Choice(
        "bbn_tf.modes.train:run",
        *TRAINING,
        *hosts.SETTINGS,
        does="trains a network and evaluates it.",
        reads_data=True,
        resumes=True,
    ),
    evaluate=Choice(
        "bbn_tf.modes.evaluate:run",
        DATA_DIR,
        NUM_DEVICES,
        OUTPUT.with_default(None),
        OVERWRITE,
        does="evaluates the run in --model_dir again, with its settings.",
        reads_data=True,
        of_run=True,
        overrides=("evaluate_on", *LIST_FILES),
    ),
    compare=Choice(
        "bbn_tf.modes.compare:run",
        *TRAINING,
        does="trains BBN and the plain network with the same settings.",
        reads_data=True,
        resumes=True,
    ),
    probe=Choice(
        "bbn_tf.modes.train:run",
        FROM_RUN,
        BRANCH,
        CLASSIFIER_SETTING,
        *TRAINING,
        does="trains a new classifier over what a finished run has learned (second stage).",
        fixes={"model": "plain"},
        reads_data=True,
        resumes=True,
    ),
    sweep=Choice(
        "bbn_tf.modes.sweep:run",
        PLAN,
        JOBS,
        DATA_DIR,
        does="makes all runs of a plan, and their report.",
        of_plan=True,
        resumes=True,
    ),
    report=Choice(
        "bbn_tf.modes.report:run", PLAN, DATA_DIR, does="writes tables and pictures of finished runs.", of_plan=True
    ),
    export=Choice(
        "bbn_tf.modes.export:run", EXPORT_FORMATS, does="writes the run in --model_dir for serving.", of_run=True
    ),
    predict=Choice(
        "bbn_tf.modes.predict:run",
        IMAGES,
        OUTPUT,
        OVERWRITE,
        does="classifies image files with a run or an exported model.",
        of_run=True,
    ),
    describe=Choice(
        "bbn_tf.modes.describe:run",
        DATA_DIR,
        OUTPUT.with_default("description.png"),
        OVERWRITE,
        does="shows the classes of a data set, and its damaged and duplicate files.",
        reads_data=True,
        advises=True,
    ),
)
