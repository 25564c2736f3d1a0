"""The assembler: data, model, optimizer, callbacks, fit, evaluation."""

import contextlib
import functools
import os
import sys
import time

import keras
import tensorflow as tf

from bbn_tf.config import DEPENDENT
from bbn_tf.data import datasets, file_checks, input_pipeline
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path, check_whole, write_json
from bbn_tf.models import init_from, models
from bbn_tf.runs import tensorboard
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import adaptors, callbacks, checkpoints, hosts, losses, lr_schedules, optimizers
from bbn_tf.training import evaluation as evaluate
from bbn_tf.training import second_stage as probe
from bbn_tf.training.cross_entropy import AdjustedCrossEntropy


def train_and_evaluate(config):
    """Trains what `config` describes, or goes on with it, and evaluates it.

    Args:
        config: `bbn_tf.config.Config`.

    Returns:
        dict, the content of metrics.json; None on hosts but the first.

    Raises:
        UserError: before any work if the settings, data or folder do not fit; while training if the loss
            is not finite.
    """
    start = time.perf_counter()
    strategy = distribution(config)
    dataset = load_dataset(config)
    steps = len(dataset.train_labels) // config.global_batch_size
    if not steps and config.epochs:
        raise UserError(
            f"--global_batch_size={config.global_batch_size}: must be at most {len(dataset.train_labels)}, the "
            "number of training images"
        )
    if config.profile_steps and config.profile_steps[1] > steps * config.epochs:
        shown = ",".join(map(str, config.profile_steps))
        raise UserError(f"--profile_steps={shown}: must end by {steps * config.epochs}, the run's last step")
    with strategy.scope():
        stage = load_second_stage(config, dataset)
    if config.num_hosts:
        hosts.check_same(config, dataset)
    run = RunFolder(config.model_dir)
    if config.init_from and (config.overwrite or not run.checkpoint_files()):
        init_from.check(config.init_from, config.backbone)  # before an earlier run is deleted
    with contextlib.nullcontext() if config.host_index else run.locked():
        figures = None
        if not config.host_index:
            run.prepare(config.settings(), config.overwrite)
            figures = run.read_metrics() if run.model_file.is_file() else None
        if hosts.from_first(figures is not None):
            print(f"{run.path}: already finished; --overwrite trains it anew")
            return figures
        with file_checks.naming_damaged(dataset.files):
            return _train(config, run, dataset, stage, strategy, start)


def _train(config, run, dataset, stage, strategy, start):
    what = f"{config.model} on {config.dataset}"
    if stage is not None:
        what = f"{config.classifier} after {config.from_run} on {config.dataset}"
        dataset = stage.features()
    steps = len(dataset.train_labels) // config.global_batch_size
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = stage.head() if stage else build_model(config, dataset)
        model.compile(build_optimizer(config), build_loss(config, dataset))
        evaluator = build_evaluator(config, model, dataset)
        initial_epoch = restore(model, None if config.host_index else run)
        if config.init_from and not initial_epoch:
            init_from.load(config.init_from, config.backbone, model)
    epochs = (
        f"{steps} steps an epoch, epochs {initial_epoch + 1} to {config.epochs}" if config.epochs else "no training"
    )
    where = f"host {config.host_index}" if config.host_index else run.path
    print(f"{where}: {what}, {len(dataset.train_labels)} training images of {dataset.num_classes} classes, {epochs}")
    if initial_epoch < config.epochs:
        model.fit(
            training_batches(config, dataset, initial_epoch),
            initial_epoch=initial_epoch,
            epochs=config.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=build_callbacks(config, run, dataset, evaluator),
            verbose=0 if config.host_index else 1 if sys.stdout.isatty() else 2,
        )
    figures = evaluator()
    if config.host_index:
        return None
    model = evaluator.model  # of several hosts this one's copy, as Keras saves no distributed one without the others
    if stage is not None:
        with strategy.scope():
            model = stage.whole(model)
        figures["classifier_norms"] = evaluate.classifier_norms(model)
    with hosts.alone(), atomic_path(run.model_file) as temporary:
        model.save(temporary)
    return write_metrics(config, run, dataset, figures, time.perf_counter() - start)


def load_second_stage(config, dataset):
    """`probe.SecondStage` of `config`; None if it describes a training of the whole model."""
    if config.from_run is None:
        return None
    first = load_model(RunFolder(config.from_run, flag="from_run"))
    return probe.SecondStage(first, dataset, config.classifier, branch=config.branch or "both", tau=config.tau,
                             logit_adjustment=config.logit_adjustment)  # fmt: skip


def evaluate_saved(config):
    """Evaluates `model.keras` of a finished run as its training did; returns the figures, writes nothing."""
    run = RunFolder(config.model_dir)
    recorded = run.read_metrics()
    dataset = load_dataset(config)
    if recorded is not None and recorded["class_names"] != list(dataset.class_names):
        raise UserError(f"--data_dir={config.data_dir}: has other classes than those that {run.path} was trained on")
    with distribution(config).scope(), file_checks.naming_damaged(dataset.files):
        figures = evaluate.Evaluator(load_model(run), dataset)()
    # Of counts, which are the same on every device; means of confidences are not.
    errors = [name for name in figures if name.endswith("_error") and name != "calibration_error"]
    if recorded is not None and any(recorded.get(name, figures[name]) != figures[name] for name in errors):
        print(f"note: {run.metrics_file} holds other figures: top-1 error {recorded['top1_error']:.2f} %")
    return figures


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


class _OneDevice:
    """Stands in for a strategy where the backend has none."""

    def scope(self):
        return contextlib.nullcontext()


def distribution(config):
    """MirroredStrategy over all visible GPUs, or without any the CPU; on JAX the default device, or those of
    all hosts.

    Returns an object with `scope()`.
    """
    if keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")  # TensorFlow only feeds the data
        if config.num_hosts:
            hosts.join(config)
        for name, used in (("sync_batch_norm", config.sync_batch_norm), ("num_devices", config.num_devices > 1)):
            if used:
                raise UserError(
                    f"--{name}: only on the TensorFlow backend; here Keras runs on {keras.backend.backend()}"
                )
        return _OneDevice()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    if config.num_devices > len(devices):
        raise UserError(f"--num_devices={config.num_devices}: must be at most {len(devices)}, the {kind}s visible")
    devices = devices[: config.num_devices or None]
    if config.global_batch_size % len(devices):
        raise UserError(
            f"--global_batch_size={config.global_batch_size}: must be divisible by {len(devices)}, the number of "
            f"replicas (one a {kind}; see --num_devices)"
        )
    if config.mixup != "none" and config.global_batch_size // len(devices) % 2:
        raise UserError(f"--global_batch_size={config.global_batch_size}: mixup needs an even number a replica")
    return _mirrored(tuple(devices))


@functools.cache  # a second strategy over the same devices would reuse the first one's keys of collective operations
def _mirrored(devices):
    return tf.distribute.MirroredStrategy(list(devices))


def load_dataset(config, **options):
    """The data set of `config`; `options` are of its function in `datasets.DATASETS`, and go before the config's."""
    own = {name: getattr(config, name) for name in DEPENDENT["dataset", config.dataset]}
    return datasets.load(
        config.dataset,
        data_dir=config.data_dir,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
        **{**own, **options},
    )


def training_batches(config, dataset, initial_epoch):
    batches = input_pipeline.training_batches(
        dataset,
        config.global_batch_size,
        sampler=config.mixup_sampler or config.sampler,
        deferred_epoch=config.deferred_epoch,
        paired=config.model == "bbn" or config.mixup_sampler is not None,
        augment=config.augment,
        seed=config.seed,
        initial_epoch=initial_epoch,
        epochs=config.epochs,
        share=(config.host_index or 0, config.num_hosts or 1),
    )
    return input_pipeline.interleaved(batches) if config.mixup_sampler else batches


def build_model(config, dataset):
    options = {
        "dtype": "mixed_bfloat16" if config.mixed_precision else "float32",
        "synchronized": config.sync_batch_norm,
    }
    if config.model == "bbn":
        options["feature_convention"] = config.feature_convention
    else:
        options |= {"cosine_scale": config.ldam_scale, "mixup": config.mixup != "none"}
    build = {"bbn": models.build_bbn, "plain": models.build_plain}[config.model]
    return build(config.backbone, dataset.input_shape, dataset.num_classes, **options)


def build_evaluator(config, model, dataset):
    if not config.num_hosts:
        return evaluate.Evaluator(model, dataset)
    with hosts.alone():
        copy = build_model(config, dataset)
    return evaluate.LocalEvaluator(model, copy, dataset)


def build_loss(config, dataset):
    """`AdjustedCrossEntropy` of `config.loss` and the class counts."""
    return AdjustedCrossEntropy(**_with_own_settings(losses.LOSSES, config.loss, "loss", config, dataset))


def _with_own_settings(table, choice, owner, config, dataset):
    """The table's function of the class counts and of the settings that only this choice has."""
    settings = {name: getattr(config, name) for name in DEPENDENT.get((owner, choice), {})}
    return table[choice](dataset.class_counts, **settings)


def build_optimizer(config):
    return optimizers.SGD(
        config.learning_rate,
        coupled_weight_decay=config.weight_decay,
        momentum=config.momentum,
        nesterov=config.nesterov,
    )


def build_callbacks(config, run, dataset, evaluator):
    """In order: what sets variables, what looks at the loss, what measures, what writes it down."""

    def learning_rate(epoch):
        return lr_schedules.warmup_steps(
            epoch,
            learning_rate=config.learning_rate,
            warmup_epochs=config.warmup_epochs,
            milestones=config.lr_milestones,
            factor=config.lr_factor,
        )

    scheduled = [callbacks.ScheduleVariable("learning_rate", learning_rate, lambda m: m.optimizer.learning_rate)]
    columns = [f"{part}_error" for part in ("top1", "balanced", "many", "medium", "few", "calibration")]
    if config.model == "bbn":
        adaptor = adaptors.ADAPTORS[config.adaptor]
        if config.adaptor in adaptors.DRAWN_EVERY_STEP:
            alpha = callbacks.DrawAlpha(adaptor, config.seed)
        else:
            alpha = callbacks.ScheduleVariable("alpha", lambda e: adaptor(e / config.epochs), lambda m: m.alpha)
        scheduled.insert(0, alpha)
        columns += ["conventional_error", "rebalancing_error"]
    elif config.class_weights != "none":
        weights = _with_own_settings(losses.CLASS_WEIGHTS, config.class_weights, "class_weights", config, dataset)
        scheduled.append(callbacks.DeferClassWeights(weights, config.deferred_epoch))
    if config.mixup != "none":
        scheduled.append(callbacks.DrawMixup(config.mixup_concentration, config.mixup == "manifold", config.seed))
    looking = [*scheduled, callbacks.StopOnNonFiniteLoss(), callbacks.Evaluate(evaluator, config.eval_every)]
    if config.host_index:  # host 0 writes
        return looking
    return looking + [
        callbacks.WriteHistory(run, columns),
        *build_tensorboard(config, run, evaluator),
        callbacks.Checkpoint(run),  # last, so that what a checkpoint stands for is written
    ]


def build_tensorboard(config, run, evaluator):
    def first_batches():
        images, labels = next(iter(training_batches(config, evaluator.dataset, 0)))
        return list(zip(images, labels, strict=True)) if config.model == "bbn" else [(images, labels)]

    written = [
        tensorboard.WriteSummaries(
            tensorboard.EventLog(run.tensorboard),
            evaluator,
            flags=config.all_flags(),
            hyperparameters=config.hyperparameters(),
            first_batches=first_batches,
        )
    ]
    if config.profile_steps:
        written.append(tensorboard.Profile(run.tensorboard, *config.profile_steps))
    return written


def restore(model, run):
    """Loads the newest checkpoint that can be read; returns the number of epochs it has behind it.

    Args:
        model: compiled.
        run: `RunFolder`; None on hosts but the first, whose checkpoint all load.
    """
    model.optimizer.build(model.trainable_variables)  # or its state would be left out of what is loaded
    epochs_done, arrays = (0, None) if run is None else _newest_checkpoint(model, run)
    epochs_done = int(hosts.from_first(epochs_done))
    if epochs_done:
        checkpoints.assign(model, hosts.from_first(arrays or checkpoints.arrays_of(model)))
    return epochs_done


def _newest_checkpoint(model, run):
    """(epochs done, dict of arrays), (0, None) without one; moves damaged ones aside."""
    for epochs_done, path in run.checkpoint_files():
        try:
            check_whole(path)
            return epochs_done, checkpoints.read(model, path)
        except Exception as error:  # whatever a damaged zip file makes NumPy raise
            aside = path.with_name(f"damaged-{path.name}")  # or it would count among the newest two
            os.replace(path, aside)
            print(f"{path}: damaged ({type(error).__name__}), now {aside.name}; going on without it", file=sys.stderr)
    return 0, None


def write_metrics(config, run, dataset, figures, seconds):
    content = {
        **figures,
        "class_counts": dataset.class_counts.tolist(),
        "class_names": list(dataset.class_names),
        "mean": list(dataset.mean),  # with "std" what an exported model needs to know of the data
        "std": list(dataset.std),
        "epoch": config.epochs,
        "num_train": len(dataset.train_labels),
        "num_eval": len(dataset.eval_labels),
        "evaluated_on": "validation" if config.validation_fraction else "test",
        "seconds": round(seconds, 2),
    }
    write_json(run.metrics_file, content)
    return content
