"""The name of a run, from its settings."""

import os
import re

from bbn_tf.data import datasets
from bbn_tf.training.classifiers import CLASSIFIERS
from bbn_tf.training.methods import EQ_3


def run_name(values):
    """The name that a run without --model_dir gets; values: dict of all settings."""
    if values["plan"]:
        return os.path.splitext(os.path.basename(values["plan"]))[0]
    data = [values["dataset"], datasets.which(values["dataset"], values)]
    if values["imbalance_factor"] is not None:
        data.append(f"if{values['imbalance_factor']:g}")
    parts = _second_stage(values, data) if values["from_run"] is not None else _first_stage(values, data)
    return re.sub(r"[^\w.]+", "-", "_".join(part for part in [*parts, f"seed{values['seed']}"] if part))


def _first_stage(values, data):
    model = "compare" if values["mode"] == "compare" else values["model"]
    parts = [*data, model, values["backbone"], values["sampler"], values["adaptor"], values["mixup_sampler"]]
    parts += [values["cut_layer"] and f"cut-{values['cut_layer']}"]
    unnamed = {"deferred_epoch": 0, "augment": "basic", "optimizer": "sgd", "lr_schedule": "steps", **EQ_3}
    unnamed |= {"freeze": "none", "trunk_lr_factor": 1.0}
    parts += [f"{name}-{values[name]}" for name, neutral in unnamed.items() if values[name] not in (neutral, None)]
    if values["init_from"]:
        parts.append(f"init_from-{os.path.basename(os.path.abspath(values['init_from']))}")
    return [*parts, f"{values['epochs']}epochs"]


def _second_stage(values, data):
    row = CLASSIFIERS[values["classifier"]]
    amounts = [f"{value:g}" for value in row.own(values).values()]
    parts = [os.path.basename(values["from_run"]), "-".join([values["classifier"], *amounts]), values["branch"]]
    parts.append("_".join(filter(None, data)))
    if not row.untrained:
        parts += [values["sampler"], f"{values['loss']}-{values['class_weights']}", f"{values['epochs']}epochs"]
    return parts
