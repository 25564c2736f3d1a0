"""The one place where settings become objects: devices, data, model, loss, optimizer, callbacks, a run's folder."""

import contextlib
import dataclasses
import functools

import keras
import tensorflow as tf

from bbn_tf import saving, surroundings  # noqa: F401  (saving: what a saved model is made of)
from bbn_tf.choices import imported
from bbn_tf.data import augmentations, datasets, input_pipeline
from bbn_tf.errors import UserError
from bbn_tf.files import check_whole
from bbn_tf.models.backbones import BACKBONES
from bbn_tf.runs import tensorboard
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.following_folder import FollowingFolder
from bbn_tf.training import callbacks, evaluation, hosts, losses, lr_schedules
from bbn_tf.training.second_stage import SecondStage


class _OneDevice:
    """Stands in for a strategy where the backend has none."""

    scope = contextlib.nullcontext


def strategy(config):
    """MirroredStrategy over all visible GPUs or CPUs; on JAX an object with `scope()` for what JAX has set up."""
    trains = not config.row("mode").of_run  # what is trained can be evaluated on any devices
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # TensorFlow only feeds the data
        if config.num_hosts:
            hosts.join(config.coordinator, config.num_hosts, config.host_index, config.global_batch_size)
        _refuse_on_other_backends("sync_batch_norm", trains and config.sync_batch_norm)
        _refuse_on_other_backends("num_devices", config.num_devices > 1)
        return _OneDevice()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if config.num_devices > len(devices):
        raise UserError(f"--num_devices={config.num_devices}: must be at most {len(devices)}, the {kind}s visible")
    devices = devices[: config.num_devices or None]
    if trains and config.global_batch_size % len(devices):
        raise UserError(
            f"--global_batch_size={config.global_batch_size}: must be divisible by {len(devices)}, the number of "
            f"replicas (one a {kind}; see --num_devices)"
        )
    if trains and config.row("mixup").mixes and config.global_batch_size // len(devices) % 2:
        raise UserError(f"--global_batch_size={config.global_batch_size}: mixup needs an even number a replica")
    return _mirrored(tuple(devices))


def _refuse_on_other_backends(name, used):
    if used:
        raise UserError(f"--{name}: only on the TensorFlow backend; here {surroundings.backend()[1]}")


@functools.cache  # a second strategy over the same devices would reuse the first one's keys of collective operations
def _mirrored(devices):
    return tf.distribute.MirroredStrategy(list(devices))


def run_folder(config):
    """The run's folder; of several hosts only the first reads and writes it."""
    return FollowingFolder(config.model_dir, config.host_index) if config.host_index else RunFolder(config.model_dir)


def dataset(config, **options):
    """The data set of `config`, standardised as its backbone wants it; `options` of its function come first."""
    data = datasets.load(
        config.dataset,
        data_dir=config.data_dir,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
        evaluate_on=config.evaluate_on,
        **{**config.own("dataset"), **options},
    )
    augmentations.refuse_other(config.augment, data)
    name = _trained_backbone(config)
    if name not in BACKBONES:
        raise UserError(f"--backbone={name}: unknown{BACKBONES.own}")
    row = BACKBONES[name]
    return dataclasses.replace(data, mean=row.mean, std=row.std) if row.mean else data


def _trained_backbone(config):
    """Name of the backbone; a second stage has that of the run it starts from."""
    if config.from_run is None or config.row("mode").of_run:
        return config.backbone
    settings = {"from_run": config.from_run}
    while "backbone" not in settings:
        settings = RunFolder(settings["from_run"], flag="from_run").read_settings()
    return settings["backbone"]


def backbone(config):
    """What `BACKBONES` makes of the name and its settings."""
    row = config.row("backbone")
    network = row(**config.own("backbone"))
    return network.pretrained() if row.published and config.init_from else network


def second_stage(config, data):
    """`SecondStage` of `config`; None if it describes a training of the whole model."""
    if config.from_run is None:
        return None
    first = load_model(RunFolder(config.from_run, flag="from_run"))
    return SecondStage(first, data, config.classifier, branch=config.branch or "both", **config.own("classifier"))


def batches(config, data, initial_epoch):
    """What `fit` is given, from an epoch on; see `input_pipeline.training_batches`."""
    made = input_pipeline.training_batches(
        data,
        config.global_batch_size,
        sampler=config.mixup_sampler or config.sampler,
        deferred_epoch=config.deferred_epoch,
        paired=bool(config.row("model").paired or config.mixup_sampler),
        augment=config.augment,
        seed=config.seed,
        initial_epoch=initial_epoch,
        epochs=config.epochs,
        share=(config.host_index or 0, config.num_hosts or 1),
    )
    return input_pipeline.interleaved(made) if config.mixup_sampler else made


def model(config, data):
    """`BBN` or `Plain`, with initial weights."""
    options = {
        "dtype": "mixed_bfloat16" if config.mixed_precision else "float32",
        "synchronized": config.sync_batch_norm,
    }
    if config.row("model").paired:
        options["feature_convention"] = config.feature_convention
    else:
        scale = config.row("loss").cosine_scale  # the name of the setting
        options |= {"cosine_scale": scale and getattr(config, scale), "mixup": bool(config.row("mixup").mixes)}
    built = config.row("model")(backbone(config), data.input_shape, data.num_classes, **options)
    if config.row("freeze").frozen:
        built.get_layer("trunk").trainable = False
    return built


def load_model(run):
    """The trained model of a `RunFolder`.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not run.model_file.is_file():
        raise UserError(f"--{run.flag}={run.path}: has no model.keras; train it first, with --mode=train")
    try:
        check_whole(run.model_file)
        return keras.models.load_model(run.model_file, compile=False)
    except Exception as error:  # whatever a damaged zip, JSON or HDF5 file makes Keras raise
        raise UserError(f"{run.model_file}: damaged, can't be loaded ({type(error).__name__})") from error


def loss(config, data):
    """The loss of `config.loss` and the class counts."""
    return losses.build(config.loss, data.class_counts, **config.own("loss"))


def optimizer(config, trained):
    """The optimizer of `config.optimizer` for the variables of a model, `trained`."""
    made = config.row("optimizer")(**config.own("optimizer"))
    if config.trunk_lr_factor not in (None, 1.0):
        made.build(trained.trainable_variables)
        made.mark_trunk(trained.get_layer("trunk").trainable_variables, config.trunk_lr_factor)
    return made


def evaluator(config, trained, data):
    """`Evaluator` of a model; of several hosts each evaluates a copy of its own."""
    if not config.num_hosts:
        return evaluation.Evaluator(trained, data)
    with hosts.alone():
        copy = model(config, data)
    return imported("bbn_tf.training.local_evaluation:LocalEvaluator")(trained, copy, data)


def learning_rate(config):
    """Function epoch (from 0) -> learning rate."""
    schedule, own = config.row("lr_schedule"), config.own("lr_schedule")

    def rate(epoch):
        warmed = lr_schedules.warmup(epoch, config.warmup_epochs, config.warmup_start)
        fallen = schedule(epoch, epochs=config.epochs, warmup_epochs=config.warmup_epochs, **own)
        return config.learning_rate * warmed * fallen

    return rate


def training_callbacks(config, run, data, measure):
    """In order: what sets variables, what looks at the loss, what measures, what writes it down.

    Args:
        config: `Config`.
        run: `RunFolder`.
        data: `ImageDataset`.
        measure: `Evaluator`.
    """
    rate = callbacks.ScheduleVariable("learning_rate", learning_rate(config), lambda m: m.optimizer.learning_rate)
    scheduled = [rate]
    if config.adaptor is not None:
        scheduled.insert(0, _alpha(config))
    if config.class_weights != "none":
        weights = config.row("class_weights")(data.class_counts, **config.own("class_weights"))
        scheduled.append(callbacks.DeferClassWeights(weights, config.deferred_epoch))
    if config.row("mixup").mixes:
        anywhere = bool(config.row("mixup").anywhere)
        scheduled.append(callbacks.DrawMixup(config.mixup_concentration, anywhere, config.seed))
    looking = [*scheduled, callbacks.StopOnNonFiniteLoss(), callbacks.RunEvaluator(measure, config.eval_every)]
    if not run.writes:
        return looking
    return looking + [
        callbacks.WriteHistory(run.append_history),
        *summaries(config, run, measure),
        callbacks.Checkpoint(run.save_checkpoint),  # last, so that what a checkpoint stands for is written
    ]


def _alpha(config):
    adaptor = config.row("adaptor")
    if adaptor.drawn_every_step:
        return callbacks.DrawAlpha(adaptor, config.seed)
    return callbacks.CumulativeLearning(config.epochs, config.adaptor)


def summaries(config, run, measure):
    """Callbacks that write what TensorBoard shows."""

    def first_batches():
        images, labels = next(iter(batches(config, measure.dataset, 0)))
        return list(zip(images, labels, strict=True)) if isinstance(images, tuple) else [(images, labels)]

    written = [
        tensorboard.WriteSummaries(
            tensorboard.EventLog(run.tensorboard),
            measure,
            flags=config.all_flags(),
            hyperparameters=config.hyperparameters(),
            first_batches=first_batches,
        )
    ]
    if config.profile_steps:
        written.append(tensorboard.Profile(run.tensorboard, *config.profile_steps))
    return written
