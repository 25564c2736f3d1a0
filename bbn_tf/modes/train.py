"""--mode=train and --mode=probe: data, model, optimizer, callbacks, fit, evaluation."""

import importlib.metadata
import sys
import time

import keras
import tensorflow as tf

from bbn_tf import __version__
from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.data import file_checks
from bbn_tf.errors import UserError
from bbn_tf.models import grouped, init_from
from bbn_tf.modes import build, run_images
from bbn_tf.runs import csv_files
from bbn_tf.runs.tables import print_figures
from bbn_tf.training import checkpoints, evaluation, hosts


def run(config):
    """Trains and evaluates, and prints the figures; see `train_and_evaluate`."""
    with hosts.ending_together(config.host_index):
        figures = train_and_evaluate(config)
        if figures is not None:
            print_figures(figures)


def train_and_evaluate(config):
    """Trains what `config` describes, or resumes it, and evaluates it.

    Args:
        config: `bbn_tf.config.Config`.

    Returns:
        dict, the content of metrics.json; None on hosts but the first.

    Raises:
        UserError: before any work if the settings, data or folder do not fit; while training if the loss
            is not finite.
    """
    start = time.perf_counter()
    strategy = build.strategy(config)
    if config.row("backbone").grouped and config.from_run is None:
        grouped.check_trainable(config.backbone)
    run = build.run_folder(config)
    run.check(config.settings(), config.overwrite, DEFAULT_TEXTS)  # before its images are compared
    dataset, options = run_images.dataset(config, run)
    steps = _steps_per_epoch(config, dataset)
    with strategy.scope():
        stage = build.second_stage(config, dataset)
    if config.num_hosts:
        hosts.check_same(config.settings(), dataset.train_labels, run_images.told_apart(dataset))
    _check_backbone(config, dataset, run)
    with run.locked():
        run.prepare(config.settings(), config.overwrite, DEFAULT_TEXTS)
        if hosts.from_first(run.is_finished()):
            print(f"{run.title}: already finished; --overwrite trains it again")
            return run.read_metrics() if run.writes else None
        record = run_images.write_record(run, dataset, options)
        with file_checks.naming_damaged(dataset.files):
            return _train(config, run, dataset, stage, strategy, steps, start, record)


def _check_backbone(config, dataset, run):
    """Finds out, before an earlier run is deleted, whether the network can be built and will get its weights."""
    if config.from_run is not None:
        return
    network = build.backbone(config)
    network.check(dataset.input_shape)
    if config.init_from and (config.overwrite or not run.checkpoint_files()):
        init_from.check(config.init_from, config.backbone, network, dataset.input_shape)


def _steps_per_epoch(config, dataset):
    """Whole batches an epoch, int.

    Raises:
        UserError: there is none, or --profile_steps lies behind the last.
    """
    steps = len(dataset.train_labels) // config.global_batch_size
    if not steps and config.epochs:
        raise UserError(
            f"--global_batch_size={config.global_batch_size}: must be at most {len(dataset.train_labels)}, the "
            "number of training images"
        )
    if config.profile_steps and config.profile_steps[1] > steps * config.epochs:
        shown = ",".join(map(str, config.profile_steps))
        raise UserError(f"--profile_steps={shown}: must end by {steps * config.epochs}, the run's last step")
    return steps


def _train(config, run, dataset, stage, strategy, steps, start, record):
    images = dataset
    if stage is not None:
        dataset = stage.features()
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with strategy.scope():
        model = stage.head() if stage else build.model(config, dataset)
        model.compile(build.optimizer(config, model), build.loss(config, dataset))
        evaluator = build.evaluator(config, model, dataset)
        initial_epoch = checkpoints.restore(model, run.newest_checkpoint, hosts.from_first)
        if config.init_from and not initial_epoch:
            init_from.load(config.init_from, config.backbone, model, build.backbone(config))
    run.time_starts()
    print(f"{run.title}: {_title(config, dataset, steps, initial_epoch)}")
    if initial_epoch < config.epochs:
        timed = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: run.time_starts(time.perf_counter() - start)
        )
        model.fit(
            build.batches(config, dataset, initial_epoch),
            initial_epoch=initial_epoch,
            epochs=config.epochs,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=[*build.training_callbacks(config, run, dataset, evaluator), timed],
            verbose=0 if not run.writes else 1 if sys.stdout.isatty() else 2,
        )
    figures = evaluator.figures or evaluator()  # those of the last epoch, if this start has trained it
    model = evaluator.model  # of several hosts this one's copy, as Keras saves no distributed one without the others
    if stage is not None:
        with strategy.scope():
            model = stage.whole(model)
        figures["classifier_norms"] = evaluation.classifier_norms(model)
    with hosts.alone():
        run.save_model(model.save)
    starts = run.time_starts(time.perf_counter() - start)
    content = {**metrics(config, dataset, figures, starts), "cropped": images.one_by_one}
    if run.writes:
        csv_files.write_evaluation(run.path, images, evaluator)
    if record is not None:
        content["images"] = record.digest()
    run.write_metrics(content)
    return content if run.writes else None


def _title(config, dataset, steps, initial_epoch):
    """What is trained on what, in one line."""
    what = f"{config.model} on {config.dataset}"
    if config.from_run is not None:
        what = f"{config.classifier} after {config.from_run} on {config.dataset}"
    data = f"{len(dataset.train_labels)} training images of {dataset.num_classes} classes"
    if not config.epochs:
        return f"{what}, {data}, no training"
    return f"{what}, {data}, {steps} steps an epoch, epochs {initial_epoch + 1} to {config.epochs}"


def metrics(config, dataset, figures, starts):
    """The content of metrics.json, dict; starts: seconds that each start of the run took."""
    return {
        **figures,
        "class_counts": dataset.class_counts.tolist(),
        "class_names": list(dataset.class_names),
        "mean": list(dataset.mean),  # with "std" what an exported model needs to know of the data
        "std": list(dataset.std),
        "epoch": config.epochs,
        "num_train": len(dataset.train_labels),
        "num_eval": len(dataset.eval_labels),
        "evaluated_on": dataset.evaluated_on,
        "seconds": round(sum(starts), 2),
        "starts": len(starts),
        "made_with": made_with(config),
    }


def made_with(config):
    """dict: versions, backend, device and precision of the figures."""
    devices = {name.partition(":")[0].upper() for name in keras.distribution.list_devices()}
    on_jax = keras.backend.backend() == "jax"
    return {
        "bbn_tf": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        **({"jax": importlib.metadata.version("jax")} if on_jax else {}),
        "backend": keras.backend.backend(),
        "device": "GPU" if "GPU" in devices else "CPU",
        "precision": "mixed_bfloat16" if config.mixed_precision else "float32",
    }
