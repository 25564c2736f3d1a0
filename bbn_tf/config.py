"""Every setting, declared once: a frozen dataclass, and the absl flags made from it."""

import dataclasses
import math
import os
import re
import typing

from absl import flags

from bbn_tf import adaptors, datasets, long_tail, losses, samplers
from bbn_tf.backbones import BACKBONES
from bbn_tf.errors import UserError
from bbn_tf.run_folder import RunFolder, read_export_facts

MODES = ("train", "evaluate", "compare", "export", "predict", "describe")
FINISHED_RUN_MODES = ("evaluate", "export", "predict")  # take their settings from the run
MODELS = ("bbn", "plain")
AUGMENTATIONS = ("basic", "none", "autoaugment_cutout", "randaugment")  # of augment.py, which imports TensorFlow
FILE_AUGMENTATIONS = ("basic", "none", "random_resized_crop")  # of crops.py, which does too
EXPORT_FORMATS = ("saved_model", "litert", "onnx")
# May differ when a run goes on.
NOT_SETTINGS = {
    "mode", "model_dir", "overwrite", "data_dir", "num_devices", "profile_steps", "images", "output", "export_formats",
}  # fmt: skip
LONG_TAIL = {"imbalance_factor": 50.0, "imbalance_profile": "exp", "imbalance_seed": 0}
FILES = {"image_size": 224, "skip_unreadable": False}
OUTPUTS = {"predict": "predictions.csv", "describe": "description.png"}
# (flag, its value) -> {flag that has a meaning only then: its default}
DEPENDENT = {
    **{("dataset", name): FILES if name in datasets.OF_FILES else LONG_TAIL for name in datasets.DATASETS},
    **{("dataset", name): {"image_size": 224} for name in datasets.OF_RECORDS},
    ("dataset", "folder"): {**FILES, "test_fraction": None, "split_seed": None},
    ("model", "bbn"): {"feature_convention": "published_code", "sampler": "reversed", "adaptor": "parabolic_decay"},
    ("model", "plain"): {"sampler": "uniform"},
    ("loss", "focal"): {"focal_gamma": 2.0},
    ("loss", "ldam"): {"ldam_margin": 0.5, "ldam_scale": 30.0},
    ("loss", "logit_adjusted"): {"logit_adjustment": 1.0},
    ("mixup", "input"): {"mixup_concentration": 1.0, "mixup_sampler": None},
    ("mixup", "manifold"): {"mixup_concentration": 2.0, "mixup_sampler": None},
    ("class_weights", "effective"): {"effective_beta": 0.9999},
}
ONLY_IN = {  # flag -> the modes in which it means anything; flags not listed: in all that train
    "overwrite": ("train", "compare", "predict", "describe"),
    "data_dir": ("train", "evaluate", "compare", "describe"),
    "num_devices": ("train", "evaluate", "compare"),
    "profile_steps": ("train", "compare"),
    "images": ("predict",),
    "output": ("predict", "describe"),
    "export_formats": ("export",),
}


def _setting(default, help_text, choices=None):
    return dataclasses.field(default=default, metadata={"help": help_text, "choices": choices})


@dataclasses.dataclass(frozen=True)
class Config:
    """One run's settings, checked as far as they can be without data or devices.

    Defaults are the paper's for CIFAR (section 5.2), but for the data set, which needs no download.

    Raises:
        UserError: a value makes no sense.
    """

    mode: str = _setting("train", "What to do. train: train (or go on) and evaluate. evaluate: evaluate the "
                         "trained model of --model_dir. compare: train BBN and the plain network with the same "
                         "settings, print a table and draw a picture. export: write that model to "
                         "MODEL_DIR/export/<next number> for serving. predict: classify image files. "
                         "describe: look at a data set: class counts, samplers, damaged and duplicate files.",
                         MODES)  # fmt: skip
    model_dir: str | None = _setting(None, "Folder of the run. Default: saved_models/<name from the settings>. "
                                     "predict: or of an exported SavedModel.")  # fmt: skip
    overwrite: bool = _setting(False, "Delete an earlier run in --model_dir and start anew; predict, describe: replace "
                               "--output.")  # fmt: skip
    images: str | None = _setting(None, "predict: an image file, or a folder searched through all its levels.")
    output: str | None = _setting(None, "predict: the CSV file to write (default predictions.csv). describe: the "
                                  "picture (default description.png).")  # fmt: skip
    export_formats: tuple[str, ...] = _setting(("saved_model",), "export: what to write, separated by commas, of "
                                               f"{', '.join(EXPORT_FORMATS)}.")  # fmt: skip

    dataset: str = _setting("digits_lt", "Data set.", tuple(datasets.DATASETS))
    data_dir: str | None = _setting(None, "The data's folder: TFDS's (default ~/tensorflow_datasets), or that of the "
                                    "images.")  # fmt: skip
    imbalance_factor: float | None = _setting(None, "N_max / N_min of the training images, at least 1, of a data set "
                                              "that is balanced as it comes (default 50).")  # fmt: skip
    imbalance_profile: str | None = _setting(None, "How class counts fall from head to tail (default exp).",
                                             long_tail.PROFILES)  # fmt: skip
    imbalance_seed: int | None = _setting(None, "Which images of a class are kept (default 0).")
    image_size: int | None = _setting(None, "Image files: side of the crop that the network sees (default 224).")
    skip_unreadable: bool | None = _setting(None, "Image files: leave damaged ones out (default: refuse them).")
    test_fraction: float | None = _setting(None, "--dataset=folder without train/ and test/: part of every class that "
                                           "is the test set (default 0.2).")  # fmt: skip
    split_seed: int | None = _setting(None, "Which images that part is (default 0).")
    validation_fraction: float = _setting(0.0, "Part of the training images to hold out, class by class, and to "
                                          "evaluate on instead of the test set; 0 for none.")  # fmt: skip

    model: str = _setting("bbn", "bbn: two branches. plain: the same network with one.", MODELS)
    backbone: str = _setting("resnet32", "Residual network.", tuple(BACKBONES))
    feature_convention: str | None = _setting(None, "BBN's features and classifier: published_code (times 2, a bias; "
                                              "the default) or paper (Eq. 1 as written).",
                                              ("published_code", "paper"))  # fmt: skip
    sampler: str | None = _setting(None, "Class sampler: of BBN's re-balancing branch (default reversed), or of "
                                   "the plain model's one stream (default uniform).",
                                   tuple(samplers.SAMPLERS))  # fmt: skip
    adaptor: str | None = _setting(None, "How BBN's alpha moves over the epochs (default parabolic_decay).",
                                   tuple(adaptors.ADAPTORS))  # fmt: skip
    loss: str = _setting("ce", "Loss; all but ce only with --model=plain.", tuple(losses.LOSSES))
    focal_gamma: float | None = _setting(None, "--loss=focal: its exponent (default 2).")
    ldam_margin: float | None = _setting(None, "--loss=ldam: the rarest class's margin (default 0.5).")
    ldam_scale: float | None = _setting(None, "--loss=ldam: what multiplies the cosines (default 30).")
    logit_adjustment: float | None = _setting(None, "--loss=logit_adjusted: tau (default 1).")
    class_weights: str = _setting("none", "Weights of the classes in the loss, only with --model=plain. inverse: of "
                                  "the class counts. effective: of the effective numbers of samples.",
                                  tuple(losses.CLASS_WEIGHTS))  # fmt: skip
    effective_beta: float | None = _setting(None, "--class_weights=effective: beta (default 0.9999).")
    deferred_epoch: int = _setting(0, "Epoch (from 0) from which on --class_weights and --sampler act, uniform before; "
                                   "only with --model=plain.")  # fmt: skip
    mixup: str = _setting("none", "Convex combinations of images and labels, only with --model=plain. input: of the "
                          "images. manifold: there or behind the first or second stage, drawn every step.",
                          ("none", "input", "manifold"))  # fmt: skip
    mixup_concentration: float | None = _setting(None, "--mixup: a of the share's distribution Beta(a, a) (default: "
                                                 "input 1, manifold 2).")  # fmt: skip
    mixup_sampler: str | None = _setting(None, "--mixup: mix images of the uniform stream with those of a second one, "
                                         "drawn by this class sampler (default: among themselves).",
                                         tuple(samplers.SAMPLERS))  # fmt: skip
    sync_batch_norm: bool = _setting(False, "BatchNorm statistics over the batch of all replicas.")
    mixed_precision: bool = _setting(False, "Compute in bfloat16, keep weights and loss in float32.")

    epochs: int = _setting(200, "Epochs to train.")
    global_batch_size: int = _setting(128, "Images a step over all replicas; BBN: of each stream.")
    learning_rate: float = _setting(0.1, "Base learning rate.")
    lr_milestones: tuple[int, ...] = _setting((120, 160), "Epochs (from 0), separated by commas, from which on "
                                              "the rate is multiplied by --lr_factor; empty for none.")  # fmt: skip
    lr_factor: float = _setting(0.01, "What each milestone multiplies the learning rate by.")
    warmup_epochs: int = _setting(5, "Epochs of linear warm-up, from a third of the learning rate.")
    momentum: float = _setting(0.9, "SGD's momentum.")
    nesterov: bool = _setting(True, "Nesterov momentum.")
    weight_decay: float = _setting(2e-4, "L2 penalty's factor, added to every gradient as PyTorch does.")
    augment: str = _setting("basic", "basic: crop out of 4 pixels of padding, flip where the data allow it. none. "
                            "autoaugment_cutout: basic, then the CIFAR-10 AutoAugment policy and Cutout. "
                            "randaugment: basic, then RandAugment (N = 2, M = 9). Image files: basic: a crop "
                            "of --image_size where the shorter side is 256/224 of it, flip. random_resized_crop: 8 to "
                            "100 % of the image, flip. none: the middle, as in the evaluation.",
                            tuple(dict.fromkeys(AUGMENTATIONS + FILE_AUGMENTATIONS)))  # fmt: skip

    seed: int = _setting(0, "Of initial weights, draws and the validation split.")
    deterministic: bool = _setting(False, "Slower operations whose results do not depend on timing.")
    eval_every: int = _setting(10, "Evaluate every so many epochs, and after the last; 0: after the last only.")
    num_devices: int = _setting(0, "How many GPUs (without any: CPU devices) to use; 0 for all that are visible.")
    profile_steps: tuple[int, ...] = _setting((), "START,STOP: write a trace of these steps (from 1, over the whole "
                                              "run) for TensorBoard; empty for none.")  # fmt: skip

    def __post_init__(self):
        for (owner, choice), settings in DEPENDENT.items():
            for name, default in settings.items():
                if getattr(self, owner) == choice:
                    if getattr(self, name) is None:
                        object.__setattr__(self, name, default)
                elif name not in DEPENDENT.get((owner, getattr(self, owner)), {}):
                    self._check(
                        name, getattr(self, name) is None, f"has no meaning with --{owner}={getattr(self, owner)}"
                    )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            choices = field.metadata["choices"]
            if choices and value is not None:
                self._check(field.name, value in choices, f"must be one of {', '.join(choices)}")
            if isinstance(value, float):
                self._check(field.name, math.isfinite(value), "must be a finite number")
        self._check_ranges()
        self._check_method()
        self._check_data()
        if self.output is None:
            object.__setattr__(self, "output", OUTPUTS.get(self.mode))
        if self.model_dir is None:
            object.__setattr__(self, "model_dir", os.path.join("saved_models", self._name()))
        self._check("model_dir", self.model_dir != "", "must not be empty")
        self._check_files()

    def _check_ranges(self):
        known = self.imbalance_factor is None or self.imbalance_factor >= 1
        self._check("imbalance_factor", known, "must be at least 1 (it is N_max / N_min)")
        self._check("validation_fraction", 0 <= self.validation_fraction < 1, "must be at least 0 and below 1")
        for name in ("epochs", "global_batch_size"):
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("warmup_epochs", "weight_decay", "eval_every", "num_devices"):
            self._check(name, getattr(self, name) >= 0, "must be at least 0")
        for name in ("learning_rate", "lr_factor"):
            self._check(name, getattr(self, name) > 0, "must be above 0")
        for name in ("seed", "imbalance_seed", "split_seed"):
            value = getattr(self, name)
            self._check(name, value is None or 0 <= value < 2**32, "must be at least 0 and below 2^32")
        self._check("momentum", 0 <= self.momentum < 1, "must be at least 0 and below 1")
        self._check("nesterov", self.momentum > 0 or not self.nesterov, "needs --momentum above 0")
        self._check("warmup_epochs", self.warmup_epochs <= self.epochs, f"must be at most --epochs={self.epochs}")
        ascending = list(self.lr_milestones) == sorted(set(self.lr_milestones))
        self._check("lr_milestones", ascending, "must ascend")
        inside = all(1 <= milestone < self.epochs for milestone in self.lr_milestones)
        self._check("lr_milestones", inside, f"must be at least 1 and below --epochs={self.epochs}")
        if self.profile_steps:
            pair = len(self.profile_steps) == 2 and 1 <= self.profile_steps[0] <= self.profile_steps[1]
            self._check("profile_steps", pair, "must be START,STOP, two step numbers from 1 on, START at most STOP")

    def _check_method(self):
        if self.model == "bbn":
            for name, neutral in (("loss", "ce"), ("class_weights", "none"), ("deferred_epoch", 0), ("mixup", "none")):
                self._check(name, getattr(self, name) == neutral, "only with --model=plain")
        self._check("deferred_epoch", 0 <= self.deferred_epoch < self.epochs, f"must be below --epochs={self.epochs}")
        changes = self.sampler != "uniform" or self.class_weights != "none"
        self._check("deferred_epoch", changes or not self.deferred_epoch, "needs --class_weights or --sampler to defer")
        for name in ("ldam_margin", "ldam_scale", "focal_gamma", "logit_adjustment"):
            self._check(name, getattr(self, name) is None or getattr(self, name) >= 0, "must be at least 0")
        positive = self.mixup_concentration is None or self.mixup_concentration > 0
        self._check("mixup_concentration", positive, "must be above 0")
        both = self.mixup_sampler is not None and self.sampler != "uniform"
        self._check("mixup_sampler", not both, f"mixes with the uniform stream, not --sampler={self.sampler}")
        inside = self.effective_beta is None or 0 <= self.effective_beta < 1
        self._check("effective_beta", inside, "must be at least 0 and below 1")

    def _check_data(self):
        choices = AUGMENTATIONS if self.image_size is None else FILE_AUGMENTATIONS
        self._check("augment", self.augment in choices, f"with --dataset={self.dataset} one of {', '.join(choices)}")
        if (
            self.dataset in datasets.OF_FILES
            and self.mode in ("train", "evaluate", "compare", "describe")
            and not self.data_dir
        ):
            raise UserError(f"--dataset={self.dataset}: needs --data_dir, the folder of its images")
        size = self.image_size is None or 8 <= self.image_size <= 4096
        self._check("image_size", size, "must be from 8 to 4096")
        inside = self.test_fraction is None or 0 < self.test_fraction < 1
        self._check("test_fraction", inside, "must be above 0 and below 1")

    def _check_files(self):
        if self.mode == "predict" and not self.images:
            raise UserError("--mode=predict: needs --images, an image file or a folder of them")
        self._check("output", self.output != "", "must not be empty")
        known = self.export_formats and set(self.export_formats) <= set(EXPORT_FORMATS)
        self._check("export_formats", known, f"must be of {', '.join(EXPORT_FORMATS)}, separated by commas")

    def _check(self, name, condition, rule):
        if not condition:
            raise UserError(f"--{name}={_text(getattr(self, name))}: {rule}")

    def _name(self):
        model = "compare" if self.mode == "compare" else self.model
        data = [self.dataset]
        if self.dataset == "folder":
            data.append(os.path.basename(os.path.abspath(self.data_dir or "")))
        if self.imbalance_factor is not None:
            data.append(f"if{self.imbalance_factor:g}")
        parts = [*data, model, self.backbone, self.sampler]
        parts += [self.adaptor, self.mixup_sampler]
        neutral = {"loss": "ce", "class_weights": "none", "mixup": "none", "deferred_epoch": 0, "augment": "basic"}
        parts += [f"{name}-{getattr(self, name)}" for name, value in neutral.items() if getattr(self, name) != value]
        parts += [f"{self.epochs}epochs", f"seed{self.seed}"]
        return re.sub(r"[^\w.]+", "-", "_".join(part for part in parts if part))

    def all_flags(self):
        """dict flag name -> text of every flag that has a value."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: _text(value) for name, value in values.items() if value is not None}

    def settings(self):
        """dict flag name -> text of everything that makes this run what it is; see `NOT_SETTINGS`."""
        settings = {name: text for name, text in self.all_flags().items() if name not in NOT_SETTINGS}
        if self.dataset == "folder":  # here it says which data
            settings["data_dir"] = os.path.abspath(self.data_dir or "")
        return settings

    def hyperparameters(self):
        """`settings`, but a bool, number or text each: what TensorBoard compares runs by."""
        values = {name: (getattr(self, name), text) for name, text in self.settings().items()}
        return {name: text if isinstance(value, tuple) else value for name, (value, text) in values.items()}

    def with_model(self, model, model_dir):
        """The same settings for another model, in another folder; what only one model knows is at its default."""
        reset = {}
        if model != self.model:
            of_model = [settings for (owner, _), settings in DEPENDENT.items() if owner != "dataset"]
            reset = {name: None for settings in of_model for name in settings}
            reset |= {"loss": "ce", "class_weights": "none", "deferred_epoch": 0, "mixup": "none"}
        return dataclasses.replace(self, model=model, model_dir=model_dir, mode="train", **reset)


def _text(value):
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _types():
    """dict field name -> (type, whether it may be None)."""
    types = {}
    for name, hint in typing.get_type_hints(Config).items():
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        optional = type(None) in typing.get_args(hint)
        types[name] = (options[0] if optional else hint, optional)
    return types


def define_flags(flag_values=flags.FLAGS):
    """Declares one absl flag for every field of `Config`."""
    types = _types()
    for field in dataclasses.fields(Config):
        name, default, choices = field.name, field.default, field.metadata["choices"]
        options = {"help": field.metadata["help"], "flag_values": flag_values}
        kind = types[name][0]
        if choices:
            flags.DEFINE_enum(name, default, choices, **options)
        elif kind is bool:
            flags.DEFINE_bool(name, default, **options)
        elif kind is int:
            flags.DEFINE_integer(name, default, **options)
        elif kind is float:
            flags.DEFINE_float(name, default, **options)
        elif kind is str:
            flags.DEFINE_string(name, default, **options)
        else:
            flags.DEFINE_list(name, [str(part) for part in default], **options)


def from_flags(values):
    """`Config` of parsed flags; in the modes that need a finished run, of that run's flags.txt.

    Args:
        values: absl's FLAGS.

    Raises:
        UserError: see `Config`; or flags.txt can't be read.
    """
    given = {field.name: values[field.name] for field in dataclasses.fields(Config)}
    chosen = {name: _parse(name, flag.value) for name, flag in given.items()}
    for name, modes in ONLY_IN.items():
        if given[name].present and chosen["mode"] not in modes:
            raise UserError(f"--{name}: has no meaning with --mode={chosen['mode']}, only with {', '.join(modes)}")
    if chosen["mode"] not in FINISHED_RUN_MODES:
        return Config(**chosen)
    if not chosen["model_dir"]:
        raise UserError(f"--mode={chosen['mode']}: needs --model_dir, the folder of a run")
    exported = read_export_facts(chosen["model_dir"]) if chosen["mode"] == "predict" else None
    recorded = exported["settings"] if exported else RunFolder(chosen["model_dir"]).read_settings()
    for name, flag in given.items():
        if flag.present and name not in NOT_SETTINGS:
            raise UserError(f"--{name}: has no meaning with --mode={chosen['mode']}, which takes it from the run")
    chosen = {name: value for name, value in chosen.items() if name in NOT_SETTINGS}
    if chosen["data_dir"] is not None:
        recorded = {name: text for name, text in recorded.items() if name != "data_dir"}
    unknown = set(recorded) - {field.name for field in dataclasses.fields(Config)}
    if unknown:
        raise UserError(f"{chosen['model_dir']}/flags.txt: damaged, unknown setting {sorted(unknown)[0]!r}")
    return Config(**{**chosen, **{name: _parse(name, text) for name, text in recorded.items()}})


def _parse(name, value):
    """A flag's value, or its text in flags.txt, as the field's type."""
    kind, _ = _types()[name]
    try:
        if typing.get_origin(kind) is tuple:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(typing.get_args(kind)[0](part) for part in parts if part != "")
        if isinstance(value, str) and kind is bool:
            return {"True": True, "False": False}[value]
        return kind(value) if isinstance(value, str) else value
    except (ValueError, KeyError):
        shown = ",".join(value) if isinstance(value, list) else value
        wanted = "whole numbers separated by commas" if typing.get_origin(kind) is tuple else kind.__name__
        raise UserError(f"--{name}={shown}: must be {wanted}") from None
