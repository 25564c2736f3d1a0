"""--mode=compare: trains BBN and the plain network with the same settings."""

import os

from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.errors import UserError
from bbn_tf.modes.train import train_and_evaluate
from bbn_tf.runs import report_pictures
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.tables import images_note, table
from bbn_tf.training.methods import EQ_3

LABELS = {"plain": "plain", "bbn": "BBN"}


def run(config):
    """Trains both models, prints a table of their errors and draws the error of each class.

    Returns:
        dict model -> metrics.

    Raises:
        UserError: a folder holds another run, or `train_and_evaluate` fails.
    """
    if os.path.exists(os.path.join(config.model_dir, "flags.txt")):
        raise UserError(
            f"--model_dir={config.model_dir}: is a run folder; --mode=compare makes two run folders in --model_dir, so "
            "name another folder"
        )
    configs = {name: config.with_model(name, os.path.join(config.model_dir, name)) for name in LABELS}
    for one in configs.values():  # check both before the first one trains for minutes
        RunFolder(one.model_dir).check(one.settings(), one.overwrite, DEFAULT_TEXTS)
    rows = {name: train_and_evaluate(one) for name, one in configs.items()}
    picture = os.path.join(config.model_dir, "error_by_class.png")
    labelled = {_label(name, configs[name]): [metrics] for name, metrics in rows.items()}
    report_pictures.save("error_by_class", labelled, picture, title="Error by class")
    print(f"\nTop-1 error (%) on {config.dataset}, seed {config.seed}")
    print(table({label: metrics for label, (metrics,) in labelled.items()}))
    if note := images_note(list(rows.values())):
        print(f"note: {note}")
    print(f"error by class, head to tail: {picture}")
    return rows


def _label(name, config):
    as_usual = all(getattr(config, flag) in (value, None) for flag, value in {**EQ_3, "sampler": "uniform"}.items())
    return f"{LABELS[name]} (cross-entropy)" if name == "plain" and as_usual else LABELS[name]
