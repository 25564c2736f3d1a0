"""What a run saved, in somebody else's program: a new process that knows Keras and `bbn_tf.saving` only."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest

from bbn_tf.models.bbn import BBN, build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.training.cross_entropy import AdjustedCrossEntropy
from bbn_tf.training.sgd import SGD
from tests import forked

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = """
import json, sys
import keras, numpy
import bbn_tf.saving
answers = []
for path in sys.argv[1:]:
    model = keras.models.load_model(path)
    images = numpy.linspace(-1, 1, 4 * 32 * 32 * 3, dtype="float32").reshape(4, 32, 32, 3)
    labels = numpy.array([0, 1, 2, 0])
    pair = len(model.inputs) == 2
    x, y = ((images, images), (labels, labels)) if pair else (images, labels)
    answers.append({
        "classes": [type(part).__name__ for part in (model, model.optimizer, model.loss)],
        "optimizer": model.optimizer.get_config(),
        "iterations": int(model.optimizer.iterations),
        "logits": model.predict(x, verbose=0).tolist(),
        "loss": float(model.test_on_batch(x, y, return_dict=True)["loss"]),
        "buffers": float(sum(abs(numpy.asarray(buffer)).sum() for buffer in model.optimizer.momentums)),
    })
registered = [name for name in keras.saving.get_custom_objects() if name.startswith("bbn_tf>")]
print(json.dumps([answers, registered, sorted(name for name in sys.modules if name.startswith("bbn_tf."))]))
"""


def saved(path, model, loss):
    """Trains a model for one step and saves it; returns its data, and what it answers to them."""
    rate = SGD(0.1, coupled_weight_decay=2e-4, momentum=0.9, nesterov=True)
    model.compile(rate, AdjustedCrossEntropy(**loss))
    images = np.linspace(-1, 1, 4 * 32 * 32 * 3, dtype=np.float32).reshape(4, 32, 32, 3)
    labels = np.array([0, 1, 2, 0])
    x, y = ((images, images), (labels, labels)) if isinstance(model, BBN) else (images, labels)
    model.train_on_batch(x, y)
    model.save(path)
    buffers = sum(np.abs(buffer).sum() for buffer in model.optimizer.momentums)
    return model.predict(x, verbose=0), model.test_on_batch(x, y, return_dict=True)["loss"], buffers


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """(what was saved, what the other program made of it)."""
    folder = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    expected = {
        "bbn": saved(folder / "bbn.keras", build_bbn("resnet8", shape, 3), {}),
        "plain": saved(
            folder / "plain.keras",
            build_plain("resnet8", shape, 3, cosine_scale=30.0, mixup=True),
            {"margins": [1.0, 2.0, 3.0], "offsets": [0.0, 1.0, 2.0], "gamma": 2.0},
        ),
    }
    paths = [*(folder / f"{name}.keras" for name in expected), ROOT / "tests/fixtures/bbn_finished/model.keras"]
    process = forked.run("-c", PROGRAM, *paths)
    assert process.returncode == 0, process.stderr
    return expected, json.loads(process.stdout.splitlines()[-1])


def test_model_optimizer_and_loss_are_those_that_were_saved(loaded):
    expected, (answers, _, _) = loaded
    assert [answer["classes"] for answer in answers] == [
        ["BBN", "SGD", "AdjustedCrossEntropy"],
        ["Plain", "SGD", "AdjustedCrossEntropy"],
        ["BBN", "SGD", "AdjustedCrossEntropy"],  # of an older version
    ]
    for (logits, loss, buffers), answer in zip(expected.values(), answers, strict=False):
        np.testing.assert_allclose(answer["logits"], logits, rtol=1e-4, atol=1e-5)
        assert answer["loss"] == pytest.approx(loss, rel=1e-4)
        assert answer["iterations"] == 1 and answer["buffers"] == pytest.approx(buffers) and buffers > 0
        assert answer["optimizer"]["coupled_weight_decay"] == pytest.approx(2e-4) and answer["optimizer"]["nesterov"]


def test_every_class_is_registered_by_the_one_module(loaded):
    _, (_, registered, _) = loaded
    sources = (path.read_text() for path in (ROOT / "bbn_tf").rglob("*.py"))
    declared = [name for text in sources for name in re.findall(r"serializable\(.*?\)\nclass (\w+)", text)]
    assert len(declared) > 8 and sorted(registered) == sorted(f"bbn_tf>{name}" for name in declared)


def test_it_needs_neither_data_nor_settings(loaded):
    _, (_, _, modules) = loaded
    assert not [name for name in modules if name.startswith(("bbn_tf.data", "bbn_tf.modes", "bbn_tf.runs"))]
