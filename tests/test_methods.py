"""Every method's flag file, end to end on the digits; what is deferred begins when it should."""

import csv
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from bbn_tf import callbacks, input_pipeline, models, train
from bbn_tf.run_folder import RunFolder
from tests.in_process import run

ROOT = pathlib.Path(__file__).parents[1]
NO_METHODS = {"cifar10_lt", "cifar100_lt", "quickstart"}
METHODS = sorted(path.stem for path in (ROOT / "flags").glob("*.flags") if path.stem not in NO_METHODS)
TINY = ("--backbone=resnet8", "--epochs=2", "--lr_milestones=", "--warmup_epochs=0", "--global_batch_size=100",
        "--num_devices=1", "--eval_every=0")  # fmt: skip


def command(method, folder):
    later = ["--deferred_epoch=1"] if method in ("ce_drw", "ce_drs", "ldam_drw") else []
    return [f"--flagfile=flags/{method}.flags", *TINY, *later, f"--model_dir={folder}"]


def test_methods_of_the_paper_are_there():
    assert {"bbn", "ce", "focal", "ce_drw", "ce_drs", "ldam_drw", "cb_focal", "rw", "rs"} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_trains_and_evaluates_alike(method, tmp_path):
    assert run(*command(method, tmp_path)) == (0, "")
    figures = json.loads((tmp_path / "metrics.json").read_text())
    with open(tmp_path / "history.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 2 and np.all(np.isfinite(losses))
    saved = train.load_model(RunFolder(tmp_path))
    assert isinstance(saved, models.BBN if method == "bbn" else models.Plain)
    assert 0 <= figures["top1_error"] <= 100 and figures["epoch"] == 2


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_trains_on_jax(tmp_path):
    """LDAM with deferred weights: margins, scale, cosines and weights that change between two epochs."""
    process = subprocess.run(
        [sys.executable, ROOT / "main.py", *command("ldam_drw", tmp_path)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"}, check=False, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    weights = train.load_model(RunFolder(tmp_path)).class_weights
    assert np.ptp(keras.ops.convert_to_numpy(weights)) > 0.1


def test_deferred_weights_begin_at_their_epoch():
    model = models.build_plain("resnet8", (32, 32, 3), 3)
    callback = callbacks.DeferClassWeights([0.5, 1.0, 1.5], first_epoch=4)
    callback.set_model(model)
    seen = []
    for epoch in (0, 3, 4, 9, 3):  # as after a resume, in any order
        callback.on_epoch_begin(epoch)
        seen.append(keras.ops.convert_to_numpy(model.class_weights).tolist())
    assert seen == [[1, 1, 1], [1, 1, 1], [0.5, 1, 1.5], [0.5, 1, 1.5], [1, 1, 1]]


def test_class_weights_weight_the_loss():
    """Read anew at every step of a compiled training, and by the label's class."""
    model = models.build_plain("resnet8", (32, 32, 3), 3)
    model.compile(keras.optimizers.SGD(0.0), train.AdjustedCrossEntropy())
    images = np.random.default_rng(0).normal(size=(6, 32, 32, 3)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1, 2])
    by_weight = []
    for weights in ([1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [3, 2, 1]):
        model.class_weights.assign(weights)
        by_weight.append(model.train_on_batch(images, labels, return_dict=True)["loss"])
        model.reset_metrics()
    one_by_one = np.array(by_weight[1:4])
    assert np.ptp(one_by_one) > 1e-3
    assert by_weight[0] == pytest.approx(one_by_one.mean(), rel=1e-4)
    assert by_weight[4] == pytest.approx(one_by_one @ [3, 2, 1] / 6, rel=1e-4)


@pytest.mark.parametrize("initial_epoch", [0, 1, 2, 3])
def test_deferred_sampler_begins_at_its_epoch(initial_epoch):
    """Also in a run that goes on before, at or behind it: uniform is a permutation, balanced is not."""
    data = train.load_dataset(train_config())
    steps = len(data.train_labels) // 50
    batches = list(
        input_pipeline.training_batches(
            data, 50, sampler="balanced", paired=False, augment="none", seed=1, initial_epoch=initial_epoch, epochs=4,
            deferred_epoch=2,
        )
    )  # fmt: skip
    assert len(batches) == (4 - initial_epoch) * steps
    for number, epoch in enumerate(range(initial_epoch, 4)):
        labels = np.concatenate([y for _, y in batches[number * steps : (number + 1) * steps]])
        share_of_rarest = np.mean(labels == 9)
        assert (share_of_rarest < 0.01) == (epoch < 2), (epoch, share_of_rarest)


def train_config():
    from bbn_tf.config import Config

    return Config(model="plain", sampler="balanced")
