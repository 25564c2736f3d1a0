"""Every setting, declared once, as a checked frozen dataclass, and which of them mean something together."""

import dataclasses
import math
import os
import re

from bbn_tf.data import datasets, long_tail, samplers
from bbn_tf.errors import UserError
from bbn_tf.models.backbones import BACKBONES
from bbn_tf.training import adaptors, losses

MODES = ("train", "evaluate", "compare", "probe", "sweep", "report", "export", "predict", "describe")
PLAN_MODES = ("sweep", "report")  # take every setting from --plan
FINISHED_RUN_MODES = ("evaluate", "export", "predict")  # take their settings from the run
MODELS = ("bbn", "plain")
AUGMENTATIONS = ("basic", "none", "autoaugment_cutout", "randaugment")  # of augment.py, which imports TensorFlow
FILE_AUGMENTATIONS = ("basic", "none", "random_resized_crop")  # of crops.py, which does too
EXPORT_FORMATS = ("saved_model", "litert", "onnx")
# May differ when a run goes on.
NOT_SETTINGS = {
    "mode", "model_dir", "overwrite", "data_dir", "num_devices", "profile_steps", "images", "output", "export_formats",
    "plan", "jobs", "coordinator", "num_hosts", "host_index",
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
    ("classifier", "tau_norm"): {"tau": 1.0},
    ("classifier", "logit_adjusted"): {"logit_adjustment": 1.0},
}
ONLY_IN = {  # flag -> the modes in which it means anything; flags not listed: in all that train
    "overwrite": ("train", "compare", "probe", "predict", "describe"),
    "data_dir": ("train", "evaluate", "compare", "probe", "sweep", "describe"),
    "num_devices": ("train", "evaluate", "compare", "probe"),
    "profile_steps": ("train", "compare", "probe"),
    "coordinator": ("train",),
    "num_hosts": ("train",),
    "host_index": ("train",),
    "from_run": ("probe",),
    "branch": ("probe",),
    "classifier": ("probe",),
    "tau": ("probe",),
    "plan": PLAN_MODES,
    "jobs": ("sweep",),
    "images": ("predict",),
    "output": ("predict", "describe"),
    "export_formats": ("export",),
}
# What a second stage (--mode=probe) takes from the run it begins with, unless it is given.
OF_DATA = {name for (owner, _), settings in DEPENDENT.items() if owner == "dataset" for name in settings}
INHERITED = ("dataset", "data_dir", *sorted(OF_DATA), "validation_fraction", "seed")
# What trains its classifier; all other settings are of the representation, which is as the run left it.
CLASSIFIER_TRAINING = {
    "sampler", "loss", "focal_gamma", "logit_adjustment", "class_weights", "effective_beta", "deferred_epoch", "epochs",
    "global_batch_size", "learning_rate", "lr_milestones", "lr_factor", "warmup_epochs", "momentum", "nesterov",
    "weight_decay", "eval_every", "deterministic",
}  # fmt: skip
CLASSIFIERS = ("retrain", "lws", "tau_norm", "logit_adjusted")
UNTRAINED = ("tau_norm", "logit_adjusted")


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
                         "settings, print a table and draw a picture. probe: a second stage, which keeps the "
                         "representation of --from_run and makes its --classifier anew. sweep: make all runs of a "
                         "--plan. report: tables and pictures of its finished ones. export: write the trained model to "
                         "MODEL_DIR/export/<next number> for serving. predict: classify image files. describe: look at "
                         "a data set: class counts, samplers, damaged and duplicate files.", MODES)  # fmt: skip
    model_dir: str | None = _setting(None, "Folder of the run. Default: saved_models/<name from the settings>. "
                                     "predict: or of an exported SavedModel.")  # fmt: skip
    overwrite: bool = _setting(False, "Delete an earlier run in --model_dir and start anew; predict, describe: replace "
                                "--output.")  # fmt: skip
    plan: str | None = _setting(None, "sweep, report: TOML file of rows, columns and seeds, see flags/plans/. Without "
                                "it a report is of all runs below --model_dir.")  # fmt: skip
    jobs: int = _setting(1, "sweep: how many runs at a time.")
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
    backbone: str = _setting("resnet32", "Residual network: resnet8, 14, 20, 32, 44 and 56 are CIFAR's, the others are "
                             "for larger images.", tuple(BACKBONES))  # fmt: skip
    init_from: str | None = _setting(None, "Start from the trunk and the branches of an earlier run, its folder or its "
                                     ".keras file, or of an .npz file of torchvision's ResNet.")  # fmt: skip
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
    logit_adjustment: float | None = _setting(None, "--loss or --classifier=logit_adjusted: tau (default 1).")
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
    from_run: str | None = _setting(None, "probe: folder of the finished run whose representation is kept.")
    branch: str | None = _setting(None, "probe of a BBN: whose features, of one branch or of both (the default).",
                                  ("both", "conventional", "rebalancing"))  # fmt: skip
    classifier: str | None = _setting(None, "probe. retrain (the default): from scratch, by --sampler, --loss and "
                                      "--class_weights. lws: learn a scale for each class's logit. tau_norm: divide "
                                      "each class's weights by their norm to the power of --tau. logit_adjusted: "
                                      "subtract --logit_adjustment times the log of the class's share.",
                                      CLASSIFIERS)  # fmt: skip
    tau: float | None = _setting(None, "--classifier=tau_norm: its exponent (default 1).")
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
    coordinator: str | None = _setting(None, "HOST:PORT of host 0, for a training on several hosts with "
                                       "KERAS_BACKEND=jax, where the same command runs on each.")  # fmt: skip
    num_hosts: int | None = _setting(None, "How many hosts, at least 2; all devices of each are used.")
    host_index: int | None = _setting(None, "Which of them this is, from 0; host 0 writes all files.")
    profile_steps: tuple[int, ...] = _setting((), "START,STOP: write a trace of these steps (from 1, over the whole "
                                              "run) for TensorBoard; empty for none.")  # fmt: skip

    def __post_init__(self):
        if self.from_run is not None:
            self._become_second_stage()
        self._complete_dependent()
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            choices = field.metadata["choices"]
            if choices and value is not None:
                self.require(field.name, value in choices, f"must be one of {', '.join(choices)}")
            if isinstance(value, float):
                self.require(field.name, math.isfinite(value), "must be a finite number")
        self._check_ranges()
        self._check_method()
        self._check_data()
        self._check_hosts()
        if self.output is None:
            object.__setattr__(self, "output", OUTPUTS.get(self.mode))
        if self.model_dir is None and self.mode == "report" and not self.plan:
            raise UserError("--mode=report: needs --plan, or --model_dir, a folder with runs in it")
        if self.model_dir is None:
            object.__setattr__(self, "model_dir", os.path.join("saved_models", self._name()))
        self.require("model_dir", self.model_dir != "", "must not be empty")
        self._check_files()

    def _become_second_stage(self):
        object.__setattr__(self, "model", "plain")
        object.__setattr__(self, "from_run", os.path.normpath(self.from_run))
        object.__setattr__(self, "classifier", self.classifier or CLASSIFIERS[0])
        if self.classifier in UNTRAINED:
            for name, value in (("epochs", 0), ("lr_milestones", ()), ("warmup_epochs", 0)):
                object.__setattr__(self, name, value)

    def _complete_dependent(self):
        """Gives settings that only some choice has their default, and refuses them without that choice."""
        active = {key: settings for key, settings in DEPENDENT.items() if getattr(self, key[0]) == key[1]}
        for settings in active.values():
            for name, default in settings.items():
                if getattr(self, name) is None:
                    object.__setattr__(self, name, default)
        meaningful = {name for settings in active.values() for name in settings}
        for (owner, _), settings in DEPENDENT.items():
            for name in set(settings) - meaningful:
                self.require(name, getattr(self, name) is None, f"has no meaning with --{owner}={getattr(self, owner)}")

    def _check_ranges(self):
        known = self.imbalance_factor is None or self.imbalance_factor >= 1
        self.require("imbalance_factor", known, "must be at least 1 (it is N_max / N_min)")
        self.require("validation_fraction", 0 <= self.validation_fraction < 1, "must be at least 0 and below 1")
        self.require("global_batch_size", self.global_batch_size >= 1, "must be at least 1")
        self.require("epochs", self.epochs >= 1 or self.classifier in UNTRAINED, "must be at least 1")
        for name in ("warmup_epochs", "weight_decay", "eval_every", "num_devices"):
            self.require(name, getattr(self, name) >= 0, "must be at least 0")
        for name in ("learning_rate", "lr_factor"):
            self.require(name, getattr(self, name) > 0, "must be above 0")
        for name in ("seed", "imbalance_seed", "split_seed"):
            value = getattr(self, name)
            self.require(name, value is None or 0 <= value < 2**32, "must be at least 0 and below 2^32")
        self.require("momentum", 0 <= self.momentum < 1, "must be at least 0 and below 1")
        self.require("nesterov", self.momentum > 0 or not self.nesterov, "needs --momentum above 0")
        self.require("warmup_epochs", self.warmup_epochs <= self.epochs, f"must be at most --epochs={self.epochs}")
        ascending = list(self.lr_milestones) == sorted(set(self.lr_milestones))
        self.require("lr_milestones", ascending, "must ascend")
        inside = all(1 <= milestone < self.epochs for milestone in self.lr_milestones)
        self.require("lr_milestones", inside, f"must be at least 1 and below --epochs={self.epochs}")
        if self.profile_steps:
            pair = len(self.profile_steps) == 2 and 1 <= self.profile_steps[0] <= self.profile_steps[1]
            self.require("profile_steps", pair, "must be START,STOP, two step numbers from 1 on, START at most STOP")

    def _check_method(self):
        if self.model == "bbn":
            for name, neutral in (("loss", "ce"), ("class_weights", "none"), ("deferred_epoch", 0), ("mixup", "none")):
                self.require(name, getattr(self, name) == neutral, "only with --model=plain")
        inside = 0 <= self.deferred_epoch < max(self.epochs, 1)
        self.require("deferred_epoch", inside, f"must be below --epochs={self.epochs}")
        changes = self.sampler != "uniform" or self.class_weights != "none"
        self.require(
            "deferred_epoch", changes or not self.deferred_epoch, "needs --class_weights or --sampler to defer"
        )
        for name in ("ldam_margin", "ldam_scale", "focal_gamma", "logit_adjustment", "tau"):
            self.require(name, getattr(self, name) is None or getattr(self, name) >= 0, "must be at least 0")
        positive = self.mixup_concentration is None or self.mixup_concentration > 0
        self.require("mixup_concentration", positive, "must be above 0")
        second = self.from_run is not None and self.loss == "ldam"
        self.require("loss", not second, "not in a second stage, whose classifier is linear")
        both = self.mixup_sampler is not None and self.sampler != "uniform"
        self.require("mixup_sampler", not both, f"mixes with the uniform stream, not --sampler={self.sampler}")
        inside = self.effective_beta is None or 0 <= self.effective_beta < 1
        self.require("effective_beta", inside, "must be at least 0 and below 1")

    def _check_data(self):
        choices = AUGMENTATIONS if self.image_size is None else FILE_AUGMENTATIONS
        self.require("augment", self.augment in choices, f"with --dataset={self.dataset} one of {', '.join(choices)}")
        if (
            self.dataset in datasets.OF_FILES
            and self.mode in ("train", "evaluate", "compare", "probe", "describe")
            and not self.data_dir
        ):
            raise UserError(f"--dataset={self.dataset}: needs --data_dir, the folder of its images")
        size = self.image_size is None or 8 <= self.image_size <= 4096
        self.require("image_size", size, "must be from 8 to 4096")
        inside = self.test_fraction is None or 0 < self.test_fraction < 1
        self.require("test_fraction", inside, "must be above 0 and below 1")

    def _check_hosts(self):
        together = ("coordinator", "num_hosts", "host_index")
        given = [name for name in together if getattr(self, name) is not None]
        if not given:
            return
        for name in together:
            self.require(given[0], name in given, f"needs --{name} too")
        if os.environ.get("KERAS_BACKEND") != "jax":
            raise UserError(
                f"--num_hosts={self.num_hosts}: Keras can't train on several hosts with its TensorFlow backend; set "
                "KERAS_BACKEND=jax, or leave out --coordinator, --num_hosts and --host_index"
            )
        host, _, port = self.coordinator.rpartition(":")
        self.require("coordinator", host and port.isdecimal() and 0 < int(port) < 2**16, "must be HOST:PORT of host 0")
        self.require("num_hosts", self.num_hosts >= 2, "must be at least 2")
        inside = 0 <= self.host_index < self.num_hosts
        self.require("host_index", inside, f"must be at least 0 and below --num_hosts={self.num_hosts}")
        divisible = self.global_batch_size % self.num_hosts == 0
        self.require("global_batch_size", divisible, f"must be divisible by --num_hosts={self.num_hosts}")
        self.require("num_devices", self.num_devices == 0, "has no meaning with --num_hosts, which use all of theirs")

    def _check_files(self):
        if self.mode == "sweep" and not self.plan:
            raise UserError("--mode=sweep: needs --plan, a TOML file; see flags/plans/")
        self.require("jobs", self.jobs >= 1, "must be at least 1")
        if self.mode == "predict" and not self.images:
            raise UserError("--mode=predict: needs --images, an image file or a folder of them")
        self.require("output", self.output != "", "must not be empty")
        self.require("init_from", self.init_from != "", "must not be empty")
        for name, modes in (("init_from", ("train", "compare")), ("from_run", ("probe",))):
            if getattr(self, name) and self.mode in modes:
                path, folder = (os.path.join(os.path.realpath(p), "") for p in (getattr(self, name), self.model_dir))
                self.require(name, not path.startswith(folder), f"must be outside --model_dir={self.model_dir}")
        known = self.export_formats and set(self.export_formats) <= set(EXPORT_FORMATS)
        self.require("export_formats", known, f"must be of {', '.join(EXPORT_FORMATS)}, separated by commas")

    def require(self, name, condition, rule):
        """Raises UserError, naming the flag and its value, unless `condition`."""
        if not condition:
            raise UserError(f"--{name}={as_text(getattr(self, name))}: {rule}")

    def _name(self):
        if self.plan:
            return os.path.splitext(os.path.basename(self.plan))[0]
        if self.from_run is not None:
            return self._second_stage_name()
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
        parts += [f"init_from-{os.path.basename(os.path.abspath(self.init_from))}" if self.init_from else None]
        parts += [f"{self.epochs}epochs", f"seed{self.seed}"]
        return _file_name(parts)

    def _second_stage_name(self):
        first = os.path.basename(os.path.normpath(self.from_run))
        amount = {"tau_norm": self.tau, "logit_adjusted": self.logit_adjustment}.get(self.classifier)
        chosen = self.classifier if amount is None else f"{self.classifier}-{amount:g}"
        parts = [first, chosen, self.branch, f"{self.dataset}_if{self.imbalance_factor:g}"]
        if self.classifier not in UNTRAINED:
            parts += [self.sampler, f"{self.loss}-{self.class_weights}", f"{self.epochs}epochs"]
        return _file_name([*parts, f"seed{self.seed}"])

    def all_flags(self):
        """dict flag name -> text of every flag that has a value."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: as_text(value) for name, value in values.items() if value is not None}

    def settings(self):
        """dict flag name -> text of everything that makes this run what it is; see `NOT_SETTINGS`."""
        settings = {name: text for name, text in self.all_flags().items() if name not in NOT_SETTINGS}
        if self.dataset == "folder":  # here it says which data
            settings["data_dir"] = os.path.abspath(self.data_dir or "")
        if self.from_run is None:
            return settings
        own = {*INHERITED, "from_run", "branch", "classifier", "tau", "logit_adjustment"}
        own |= set() if self.classifier in UNTRAINED else CLASSIFIER_TRAINING
        return {"mode": "probe", **{name: text for name, text in settings.items() if name in own}}

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


def _file_name(parts):
    return re.sub(r"[^\w.]+", "-", "_".join(part for part in parts if part))


def as_text(value):
    """A setting as it stands in flags.txt."""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
