"""No setting is parsed and then ignored: changing any of them changes what a training does."""

import dataclasses
import hashlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.choices import Choice
from bbn_tf.config import SETTINGS, Config
from bbn_tf.data import datasets, small_sets
from bbn_tf.data.long_tail import LONG_TAIL
from bbn_tf.modes import build, train
from bbn_tf.runs import csv_files
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import callbacks
from bbn_tf.training import evaluation as evaluate

TINY = {
    "backbone": "tiny",
    "epochs": 6,
    "lr_milestones": (4,),
    "warmup_epochs": 2,
    "global_batch_size": 20,
    "augment": "none",
    "num_devices": 1,
}
PLAIN = {"model": "plain"}
FOLDER = {"dataset": "folder", "data_dir": "images", "image_size": 32}
CHANGES = {  # flag -> (what else must be set for it to mean anything, another value)
    "dataset": ({}, "cifar10_lt"),
    "imbalance_factor": ({}, 10.0),
    "imbalance_profile": ({}, "step"),
    "imbalance_seed": ({}, 1),
    "validation_fraction": ({}, 0.2),
    "evaluate_on": ({"validation_fraction": 0.2}, "test"),
    "model": ({}, "plain"),
    "backbone": ({}, "resnet8"),
    "feature_convention": ({}, "paper"),
    "sampler": ({}, "balanced"),
    "adaptor": ({}, "linear_decay"),
    "loss": (PLAIN, "balanced_softmax"),
    "focal_gamma": ({**PLAIN, "loss": "focal"}, 1.0),
    "ldam_margin": ({**PLAIN, "loss": "ldam"}, 0.1),
    "ldam_scale": ({**PLAIN, "loss": "ldam"}, 5.0),
    "logit_adjustment": ({**PLAIN, "loss": "logit_adjusted"}, 0.5),
    "class_weights": (PLAIN, "inverse"),
    "effective_beta": ({**PLAIN, "class_weights": "effective"}, 0.9),
    "deferred_epoch": ({**PLAIN, "sampler": "balanced", "class_weights": "inverse"}, 3),
    "mixup": ({**PLAIN, "backbone": "resnet8", "mixup": "input", "mixup_concentration": 1.0}, "manifold"),
    "mixup_concentration": ({**PLAIN, "mixup": "input"}, 0.2),
    "mixup_sampler": ({**PLAIN, "mixup": "input"}, "reversed"),
    "sync_batch_norm": ({}, True),
    "mixed_precision": ({}, True),
    "epochs": ({}, 7),
    "global_batch_size": ({}, 10),
    "learning_rate": ({}, 0.2),
    "lr_milestones": ({}, (3,)),
    "lr_factor": ({}, 0.5),
    "warmup_epochs": ({}, 3),
    "optimizer": ({}, "adamw"),
    "lr_schedule": ({}, "cosine"),
    "warmup_start": ({}, 0.5),
    "momentum": ({}, 0.5),
    "nesterov": ({}, False),
    "weight_decay": ({}, 1e-3),
    "augment": ({}, "basic"),
    "seed": ({}, 1),
    "deterministic": ({}, True),
    "eval_every": ({}, 3),
    "num_devices": ({}, 2),
    "profile_steps": ({}, (2, 3)),
    "init_from": ({"imbalance_factor": 10.0}, "bbn"),
    "freeze": ({"init_from": "bbn"}, "trunk"),
    "trunk_lr_factor": ({}, 0.5),
    "image_size": (FOLDER, 24),
    "test_fraction": (FOLDER, 0.5),
    "split_seed": (FOLDER, 1),
    "from_run": ({}, "bbn"),
    "branch": ({"from_run": "bbn"}, "conventional"),
    "classifier": ({"from_run": "bbn"}, "lws"),
    "tau": ({"from_run": "bbn", "classifier": "tau_norm"}, 0.5),
}
BEFORE = {}  # context -> what `trained_with` returned
ELSEWHERE = {
    "mode": "test_main",
    "model_dir": "test_main",
    "overwrite": "test_resume",
    "data_dir": "test_datasets",
    "images": "test_predict",
    "output": "test_predict",
    "export_formats": "test_export",
    "skip_unreadable": "test_image_folders",
    "plan": "test_sweep",
    "jobs": "test_sweep",
    "train_list": "test_image_lists",
    "eval_list": "test_image_lists",
    "validation_list": "test_image_lists",
    "class_names": "test_image_lists",
    "list_columns": "test_image_lists",
    "expect_images": "test_image_lists",
    "allow_overlap": "test_image_lists",
    "tfds_name": "test_tfds_records",
    "tfds_splits": "test_tfds_records",
    "cut_layer": "test_keras_register",
    "coordinator": "test_hosts",
    "num_hosts": "test_hosts",
    "host_index": "test_hosts",
}


def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in tf.nest.flatten(arrays))).hexdigest()


def tiny_for(settings):
    """`TINY` without what has no meaning with the settings."""
    no_meaning = {"lr_milestones"} if settings.get("lr_schedule") == "cosine" else set()
    if settings.get("classifier") == "tau_norm":  # trains nothing
        no_meaning |= {"epochs", "lr_milestones", "warmup_epochs"}
    return {name: value for name, value in TINY.items() if name not in no_meaning}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folder with 20 images of each of three classes."""
    folder = tmp_path_factory.mktemp("images")
    for place in itertools.product("abc", range(20)):
        (folder / place[0]).mkdir(exist_ok=True)
        picture = np.random.default_rng(list(map(ord, str(place)))).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / place[0] / f"{place[1]}.png")
    return folder


@pytest.fixture
def trained_with(tmp_path, monkeypatch, finished_run, images):
    """Function (settings) -> everything that its training would go by: the real path up to `fit`, and after it."""
    seen, saved = {}, []

    def make_evaluator(self, model, dataset):
        self.model, self.dataset = model, dataset

    def fit(model, batches, **options):
        epochs, steps = options["epochs"], options["steps_per_epoch"]
        drawn = [digest(batch) for batch in itertools.islice(batches.as_numpy_iterator(), 0, steps * epochs, 5)]
        variables = []
        for callback in options["callbacks"]:
            callback.set_model(model)
            callback.set_params({"epochs": epochs, "steps": steps})
        for epoch in range(epochs):
            for callback in options["callbacks"]:
                if isinstance(callback, (callbacks.ScheduleVariable, callbacks.DeferClassWeights, callbacks.DrawMixup)):
                    callback.on_epoch_begin(epoch)
                    callback.on_train_batch_begin(0)
            rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
            variables.append([rate, digest(model.get_weights())])
        kinds = [(type(c).__name__, getattr(c, "every", None), getattr(c, "first", None)) for c in options["callbacks"]]
        optimizer = {**model.optimizer.get_config(), "name": None, "trunk": model.optimizer.trunk_lr_factor}
        seen["fit"] = [epochs, steps, drawn, variables, kinds, optimizer]

    monkeypatch.setattr(keras.Model, "fit", fit)
    monkeypatch.setattr(evaluate.Evaluator, "__init__", make_evaluator)
    monkeypatch.setattr(evaluate.Evaluator, "__call__", lambda self: {"top1_error": 0.0, "per_class_error": []})
    monkeypatch.setattr(RunFolder, "save_model", lambda self, save: saved.append(save.__self__))
    monkeypatch.setattr(csv_files, "write_evaluation", lambda folder, dataset, evaluator: None)
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: seen.update(determinism=True))
    mirrored = dataclasses.replace(small_sets.digits(), train_items=small_sets.digits().train_items[:, :, ::-1])
    row = Choice(lambda data_dir: mirrored, *LONG_TAIL)  # needs no download
    monkeypatch.setitem(datasets.DATASETS, "cifar10_lt", row)
    numbers = itertools.count()

    def make(settings):
        seen.clear()
        runs = {name: settings[name] for name in ("from_run", "init_from") if name in settings}
        settings = settings | {name: finished_run(model=model).model_dir for name, model in runs.items()}
        if "data_dir" in settings:
            settings = settings | {"data_dir": str(images)}
        if "from_run" in settings:
            settings = {"mode": "probe", **settings}
        config = Config(**{**tiny_for(settings), **settings, "model_dir": str(tmp_path / str(next(numbers)))})
        figures = train.train_and_evaluate(config)
        model = saved.pop()
        loss = build.loss(config, build.dataset(config)).get_config() | {"name": None}
        replicas = build.strategy(config).num_replicas_in_sync
        shapes = [(w.path, w.shape) for w in model.weights]
        counts = figures["class_counts"], figures["num_eval"], figures["epoch"]
        said = model.to_json()
        layers = [said.count(words) for words in ("bfloat16", '"synchronized": true', '"trainable": false')]
        return [seen.copy(), loss, replicas, shapes, digest(model.get_weights()), counts, layers]

    return make


def test_every_flag_has_its_change():
    assert set(SETTINGS) == {*CHANGES, *ELSEWHERE}


@pytest.mark.parametrize("context", [{}, PLAIN])
def test_no_change_changes_nothing(context, trained_with):
    """Or what follows would mean nothing."""
    BEFORE[repr(context)] = trained_with(context)
    assert trained_with(context) == BEFORE[repr(context)]


@pytest.mark.parametrize("flag", CHANGES)
def test_a_change_changes_the_training(flag, trained_with):
    context, value = CHANGES[flag]
    before = BEFORE.get(repr(context)) or BEFORE.setdefault(repr(context), trained_with(context))
    assert trained_with({**context, flag: value}) != before
