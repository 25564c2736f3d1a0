"""--mode=evaluate: the figures of a finished run again."""

import dataclasses

from bbn_tf.data import file_checks
from bbn_tf.errors import UserError
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.tables import print_figures
from bbn_tf.training.evaluation import Evaluator


def run(config):
    """Prints the figures; see `evaluate`."""
    print_figures(evaluate(config))


def evaluate(config):
    """Evaluates `model.keras` of a finished run as its training did; returns the figures, writes nothing."""
    run = RunFolder(config.model_dir)
    recorded = run.read_metrics()
    dataset = build.dataset(config)
    if recorded is not None and recorded["class_names"] != list(dataset.class_names):
        raise UserError(f"--data_dir={config.data_dir}: has other classes than those that {run.path} was trained on")
    if recorded is not None and recorded.get("std"):
        dataset = dataclasses.replace(dataset, mean=tuple(recorded["mean"]), std=tuple(recorded["std"]))
    with build.strategy(config).scope(), file_checks.naming_damaged(dataset.files):
        figures = Evaluator(build.load_model(run), dataset)()
    # Of counts, which are the same on every device; means of confidences are not.
    errors = [name for name in figures if name.endswith("_error") and name != "calibration_error"]
    if recorded is not None and any(recorded.get(name, figures[name]) != figures[name] for name in errors):
        print(f"note: {run.metrics_file} holds other figures: top-1 error {recorded['top1_error']:.2f} %")
    return figures
