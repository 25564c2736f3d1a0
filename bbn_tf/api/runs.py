"""Whole runs from Python: what `bbn-tf --flag=value` does, and what it has left in a run's folder."""

import dataclasses
import os
from typing import Any

import keras

from bbn_tf.api import checks
from bbn_tf.config import Config
from bbn_tf.modes import build, export, train
from bbn_tf.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A finished run.

    Attributes:
        model: the trained model of standardised images; `inference_model(run.model, run)` takes images [B, H, W, 3] of
            the trained size as they are. Of a run on files it was trained on crops; an export crops by itself.
        class_names: C names, in the order of the logits.
        mean, std: per channel, of images scaled to [0, 1].
        metrics: content of metrics.json.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    metrics: dict[str, Any]


def load_run(folder: str | os.PathLike[str]) -> TrainedRun:
    """Reads the trained model of a run's folder.

    Raises:
        UserError: it is no such folder, or the run is not finished.
    """
    run = RunFolder(folder)
    facts = export.read_facts(run)
    named = {name: tuple(facts[name]) for name in ("class_names", "mean", "std")}
    return TrainedRun(build.load_model(run), metrics=facts["figures"], **named)


def train_and_evaluate(config: Config) -> dict[str, Any] | None:
    """Trains what `config` describes in its `model_dir`, or resumes it there, and evaluates it.

    Args:
        config: `Config(dataset="cifar10_lt", imbalance_factor=50.0, ...)`, the flags of the program by name.

    Returns:
        Content of metrics.json; None on hosts but the first.

    Raises:
        UserError: the mode is another one than `train`; settings, data or folder do not fit; or the loss is not finite.
    """
    checks.is_training(config.mode)
    checks.channels_last()
    figures: dict[str, Any] | None = train.train_and_evaluate(config)
    return figures
