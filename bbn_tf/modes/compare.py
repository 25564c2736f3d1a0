"""--mode=compare: BBN beside the plain network, with the same settings."""

import os

from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.errors import UserError
from bbn_tf.modes.train import train_and_evaluate
from bbn_tf.runs import report_pictures
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.tables import images_note, table

LABELS = {"plain": "plain (cross-entropy)", "bbn": "BBN"}


def run(config):
    """Trains both; prints a table, draws error by class.

    Returns:
        dict model -> metrics.

    Raises:
        UserError: a folder is in the way; see also `train_and_evaluate`.
    """
    if os.path.exists(os.path.join(config.model_dir, "flags.txt")):
        raise UserError(f"--model_dir={config.model_dir}: is a run folder; --mode=compare makes two in a folder")
    configs = {name: config.with_model(name, os.path.join(config.model_dir, name)) for name in LABELS}
    for one in configs.values():  # both before minutes are spent on the first
        RunFolder(one.model_dir).check(one.settings(), one.overwrite, DEFAULT_TEXTS)
    rows = {name: train_and_evaluate(one) for name, one in configs.items()}
    picture = os.path.join(config.model_dir, "error_by_class.png")
    labelled = {LABELS[name]: [metrics] for name, metrics in rows.items()}
    report_pictures.save("error_by_class", labelled, picture, title="Error by class")
    print(f"\nTop-1 error (%) on {config.dataset}, seed {config.seed}")
    print(table({label: metrics for label, (metrics,) in labelled.items()}))
    if note := images_note(list(rows.values())):
        print(f"note: {note}")
    print(f"error by class, head to tail: {picture}")
    return rows
