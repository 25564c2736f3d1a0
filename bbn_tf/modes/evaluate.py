"""--mode=evaluate: the figures of a finished run again."""

import dataclasses

from bbn_tf.data import file_checks
from bbn_tf.data.recorded import check_class_names
from bbn_tf.modes import build, run_images
from bbn_tf.runs import csv_files
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.tables import print_figures
from bbn_tf.training.evaluation import Evaluator

PUT_BACK = "put them back as they were when the run was trained, and evaluate again"


def run(config):
    """Prints the figures; see `evaluate`."""
    print_figures(evaluate(config))


def evaluate(config):
    """Evaluates `model.keras` of a finished run as its training did; returns the figures.

    Writes nothing, but with --output=FOLDER what `csv_files.write_evaluation` writes.
    """
    if config.output is not None:
        csv_files.check_folder(config.output, config.overwrite)
    run = RunFolder(config.model_dir)
    recorded = run.read_metrics()
    dataset = run_images.of_finished(config, run)
    if recorded is not None:
        check_class_names(recorded["class_names"], dataset.class_names, run.path, config.data_dir)
        if recorded.get("std"):  # a second stage's settings do not say with which backbone it started
            dataset = dataclasses.replace(dataset, mean=tuple(recorded["mean"]), std=tuple(recorded["std"]))
    with build.strategy(config).scope(), file_checks.naming_damaged(dataset.files, PUT_BACK):
        evaluator = Evaluator(build.load_model(run), dataset)
        figures = evaluator()
    # Of counts, which are the same on every device; means of confidences are not.
    errors = [name for name in figures if name.endswith("_error") and name != "calibration_error"]
    same = recorded is not None and recorded.get("evaluated_on", dataset.evaluated_on) == dataset.evaluated_on
    if same and any(recorded.get(name, figures[name]) != figures[name] for name in errors):
        print(f"note: {run.metrics_file} holds other figures: top-1 error {recorded['top1_error']:.2f} %")
    if config.output is not None:
        csv_files.write_evaluation(config.output, dataset, evaluator)
        print(f"{config.output}: {csv_files.EVALUATION} and {csv_files.CONFUSION} written")
    return figures
