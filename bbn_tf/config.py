"""The settings of a run, checked as far as they can be without data or devices."""

import dataclasses
import os
import typing

from bbn_tf.choices import (
    CLASSIFIER,
    DATA,
    REPRESENTATION,
    SECOND_STAGE,
    START,
    Setting,
    as_text,
    at_least,
    is_seed,
    not_empty,
    within,
)
from bbn_tf.data.augmentations import AUGMENT
from bbn_tf.data.datasets import DATASETS, EVALUATE_ON, HELD_OUT
from bbn_tf.models.backbones import BACKBONES
from bbn_tf.modes.modes import MODES, weights_to_start_from
from bbn_tf.run_names import run_name
from bbn_tf.settings import Settings
from bbn_tf.training.class_weights import CLASS_WEIGHTS
from bbn_tf.training.classifiers import CLASSIFIERS
from bbn_tf.training.fine_tuning import FREEZE, has_batch_norm, mixes_where_it_can, something_to_keep, weights_exist
from bbn_tf.training.losses import LOSSES
from bbn_tf.training.lr_schedules import LR_SCHEDULES
from bbn_tf.training.methods import EQ_3, MODELS
from bbn_tf.training.mixing import MIXUP, even_batch
from bbn_tf.training.optimizers import OPTIMIZERS


def _core(part, default, help_text, **options):
    return dataclasses.field(default=default, metadata={"part": part, "help": help_text, **options})


def _of_report(value, values):
    if values["mode"] == "report" and value is None and not values["plan"]:
        return "--mode=report: needs --plan, or --model_dir, a folder with runs in it"
    return not_empty(value, values)


def _at_least_one(value, values):
    untrained = values["classifier"] and CLASSIFIERS[values["classifier"]].untrained
    return None if value >= 1 or untrained else "must be at least 1"


def _not_after_the_last(value, values):
    return None if 0 <= value <= values["epochs"] else f"must be at least 0 and at most --epochs={values['epochs']}"


def _deferral(value, values):
    if not 0 <= value < max(values["epochs"], 1):
        return f"must be below --epochs={values['epochs']}"
    changes = values["sampler"] != "uniform" or values["class_weights"] != "none"
    return None if changes or not value else "needs --class_weights or --sampler to defer"


def _linear_in_a_second_stage(value, values):
    cosines = values["from_run"] is not None and LOSSES[value].cosine_scale
    return "not in a second stage, whose classifier is linear" if cosines else None


@dataclasses.dataclass(frozen=True, init=False, eq=False)
class Config:
    """One run's settings; these fields, and those that `SETTINGS` has of the chosen rows, None without a meaning.

    Defaults are the paper's for CIFAR (section 5.2), but for the data set, which needs no download.

    Args:
        **given: settings by name; the others get their default.

    Raises:
        UserError: a value makes no sense.
    """

    mode: str = _core(START, "train", "What to do.", table=MODES)
    model_dir: str | None = _core(
        START,
        None,
        "Folder of the run, by default saved_models/<name from the settings>; predict: or of an exported model.",
        rule=_of_report,
        path=True,
    )

    dataset: str = _core(DATA, "digits_lt", "Data set.", table=DATASETS)
    validation_fraction: float = _core(DATA, 0.0, HELD_OUT.help, rule=HELD_OUT.rule)
    evaluate_on: str | None = _core(DATA, None, EVALUATE_ON.help, names=EVALUATE_ON.names)

    model: str = _core(REPRESENTATION, "bbn", "bbn: two branches. plain: the same network with one.", table=MODELS)
    backbone: str = _core(
        REPRESENTATION,
        "resnet32",
        "Network: resnet8, 14, 20, 32, 44 and 56 are CIFAR's, the others and keras:NAME are for larger images.",
        table=BACKBONES,
    )
    init_from: str | None = _core(
        REPRESENTATION,
        None,
        "Start from the weights of a run (folder or .keras), of torchvision (.npz), or for keras:NAME of imagenet "
        "(downloaded) or a file (.h5).",
        rule=weights_to_start_from,
        fits=weights_exist,
        path=True,
    )
    freeze: str = _core(
        REPRESENTATION, "none", "What stays as it is: trunk, BatchNorm included.", table=FREEZE, fits=something_to_keep
    )
    loss: str = _core(CLASSIFIER, "ce", "Loss; of BBN always ce.", table=LOSSES, rule=_linear_in_a_second_stage)
    class_weights: str = _core(
        CLASSIFIER,
        "none",
        "Weights of the classes in the plain model's loss: by class counts, or effective numbers of samples.",
        table=CLASS_WEIGHTS,
    )
    deferred_epoch: int = _core(
        CLASSIFIER,
        0,
        "Plain model: epoch (from 0) from which --class_weights and --sampler act; uniform before.",
        rule=_deferral,
    )
    mixup: str = _core(
        REPRESENTATION,
        "none",
        "Plain model: convex combinations of images (input), or also of feature maps (manifold), and their labels.",
        table=MIXUP,
        fits=even_batch,
        heading=CLASSIFIER,
        rule=mixes_where_it_can,
    )
    sync_batch_norm: bool = _core(REPRESENTATION, False, "BatchNorm statistics of all replicas.", rule=has_batch_norm)
    mixed_precision: bool = _core(REPRESENTATION, False, "Compute in bfloat16, keep weights and loss in float32.")

    epochs: int = _core(CLASSIFIER, 200, "Epochs to train.", rule=_at_least_one)
    global_batch_size: int = _core(
        CLASSIFIER, 128, "Images a step over all replicas; BBN: of each stream.", rule=at_least(1)
    )
    optimizer: str = _core(CLASSIFIER, "sgd", "SGD as in PyTorch, or Keras's AdamW.", table=OPTIMIZERS)
    lr_schedule: str = _core(
        CLASSIFIER, "steps", "Learning rate after the warm-up: falls in steps, or as a cosine to 0.", table=LR_SCHEDULES
    )
    warmup_epochs: int = _core(CLASSIFIER, 5, "Epochs of linear warm-up.", rule=at_least(0), fits=_not_after_the_last)
    warmup_start: float = _core(
        CLASSIFIER, 1 / 3, "Fraction of the learning rate that the first epoch of the warm-up has.", rule=within(0, 1)
    )
    augment: str = _core(
        REPRESENTATION, AUGMENT.default, AUGMENT.help, table=AUGMENT.table, rule=AUGMENT.rule, heading=CLASSIFIER
    )

    seed: int = _core(DATA, 0, "Of initial weights, draws and the validation split.", rule=is_seed, heading=START)
    deterministic: bool = _core(CLASSIFIER, False, "Slower operations whose results do not depend on timing.")
    eval_every: int = _core(
        CLASSIFIER, 10, "Evaluate every so many epochs, and after the last; 0: after the last only.", rule=at_least(0)
    )

    def __init__(self, **given):
        self._become(SETTINGS.complete(given), given)

    @classmethod
    def of_run(cls, recorded, given):
        """The settings of a finished run in a mode that takes them from there.

        Args:
            recorded: dict name -> value, of the run's flags.txt.
            given: dict name -> value, the mode and what only it has.
        """
        overrides = MODES[given["mode"]].overrides or ()
        other = {name: value for name, value in given.items() if name in overrides and value is not None}
        run = SETTINGS.complete({"mode": "train", **recorded, **other}, recorded=True)
        mode = SETTINGS.complete({name: value for name, value in given.items() if name not in other})
        own = [setting.name for setting in MODES[mode["mode"]].settings]
        values = {**run, "mode": mode["mode"], "model_dir": mode["model_dir"]}
        values |= {name: run[name] if name == "data_dir" and given.get(name) is None else mode[name] for name in own}
        self = cls.__new__(cls)
        self._become(values, {**recorded, **given})
        return self

    def _become(self, values, given):
        values = {**values, "given": {name: value for name, value in given.items() if value is not None}}
        if values["evaluate_on"] == ("validation" if values["validation_fraction"] else "test"):
            values["evaluate_on"] = None  # as it is without it
        if values["from_run"] is not None:
            values["from_run"] = os.path.normpath(values["from_run"])
        if values["model_dir"] is None and not _of_report(None, values):
            values["model_dir"] = os.path.join("saved_models", run_name(values))
        vars(self).update(values)
        SETTINGS.check(values, alone=values["mode"] in MODES.having("advises") + MODES.having("of_run"))

    def __getattr__(self, name):  # what is no field of the class is in `vars`
        raise AttributeError(name)

    def replace(self, **changes):
        """The same settings but for `changes`; with another mode, without what only the present one has."""
        given = dict(self.given)
        if "mode" in changes:
            other = {name for name, owners in SETTINGS.owners.items() if owners[0][0] == "mode"} - {"data_dir"}
            given = {name: value for name, value in given.items() if name not in other}
        return Config(**{**given, **changes})

    def with_model(self, model, model_dir):
        """The settings of a training of another model in another folder, without what only one model knows."""
        given = {**self.given, "mode": "train", "model": model, "model_dir": model_dir}
        if model != self.model:
            only = {name for row in MODELS.values() for name in [*row.fixes, *(s.name for s in row.settings)]}
            only |= {name for name, owners in SETTINGS.owners.items() if any(flag in EQ_3 for flag, _ in owners)}
            given = {name: value for name, value in given.items() if name not in only}
        return Config(**given)

    def own(self, flag):
        """dict name -> value: the settings that only the choice of a flag has; see `Choice.own`."""
        return self.row(flag).own(vars(self))

    def row(self, flag):
        """The `Choice` of a flag."""
        return SETTINGS[flag].table[getattr(self, flag)]

    def all_flags(self):
        """dict flag name -> text of every flag that has a value."""
        return {name: as_text(getattr(self, name)) for name in SETTINGS if getattr(self, name) is not None}

    def settings(self):
        """dict flag name -> text of everything that makes this run what it is."""
        settings = {name: text for name, text in self.all_flags().items() if SETTINGS[name].part != START}
        if self.row("dataset").own_images:
            settings["data_dir"] = os.path.abspath(self.data_dir or "")
        if self.from_run is None:
            return settings
        parts = {DATA, SECOND_STAGE} | (set() if self.row("classifier").untrained else {CLASSIFIER})
        own = {s.name for s in self.row("classifier").settings} | {"data_dir"}
        return {"mode": "probe", **{n: t for n, t in settings.items() if SETTINGS[n].part in parts or n in own}}

    def hyperparameters(self):
        """`settings`, but a bool, number or text each: what TensorBoard compares runs by."""
        values = {name: (getattr(self, name), text) for name, text in self.settings().items()}
        return {name: text if isinstance(value, tuple) else value for name, (value, text) in values.items()}


def _settings():
    hints = typing.get_type_hints(Config)
    for field in dataclasses.fields(Config):
        (kind, *_) = [k for k in (typing.get_args(hints[field.name]) or [hints[field.name]]) if k is not type(None)]
        options = dict(field.metadata)
        yield Setting(field.name, field.default, options.pop("help"), kind=kind, **options)


SETTINGS = Settings(_settings())
DEFAULT_TEXTS = {name: {as_text(d) for d in defaults if d is not None} for name, defaults in SETTINGS.defaults.items()}
