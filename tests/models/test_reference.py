"""The model against numbers of the authors' code (float64 PyTorch); see tests/fixtures/README.md."""

import pathlib
import re

import keras
import numpy as np
import pytest

from bbn_tf.models.bbn import build_bbn
from bbn_tf.training.sgd import SGD

REFERENCE = pathlib.Path(__file__).parents[1] / "fixtures" / "bbn_resnet14_cifar10.npz"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference():
    return dict(np.load(REFERENCE))


def relative_error(actual, expected):
    return np.linalg.norm(np.asarray(actual, np.float64) - expected) / np.linalg.norm(expected)


def torch_names(model):
    """Yields (Keras variable, name in the authors' code, function from their layout to ours)."""
    stages = {"stage1": "layer1", "stage2": "layer2", "stage3": "layer3"}
    branches = {"conventional_block": "cb_block", "rebalancing_block": "rb_block"}
    kinds = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
             "moving_variance": "running_var"}  # fmt: skip
    to_keras = lambda w: w.transpose(2, 3, 1, 0) if w.ndim == 4 else w  # noqa: E731
    for part in ("trunk", *branches):
        for layer in model.get_layer(part).layers:
            for variable in layer.weights:
                if layer.name.startswith("stem"):
                    prefix, unit, kind = "", "1", layer.name.split("_")[1]
                else:
                    place, unit, kind = re.match(r"(.*)_([12])_(conv|bn)$", layer.name).groups()
                    stage, _, block = place.partition("_block")
                    prefix = f"{branches[part]}." if part in branches else f"{stages[stage]}.{int(block) - 1}."
                yield variable, f"{prefix}{kind}{unit}.{kinds[variable.name]}", to_keras
    classifier = model.get_layer("classifier")
    yield classifier.conventional_kernel, "classifier.weight", lambda w: w[:, :64].T
    yield classifier.rebalancing_kernel, "classifier.weight", lambda w: w[:, 64:].T
    yield classifier.bias, "classifier.bias", lambda w: w


@pytest.fixture
def model(reference):
    built = build_bbn("resnet14", (32, 32, 3), 10)
    names = set()
    for variable, name, to_keras in torch_names(built):
        variable.assign(to_keras(reference[f"initial/{name}"]))
        names.add(f"initial/{name}")
    assert names == {key for key in reference if key.startswith("initial/")}
    assert len(list(torch_names(built))) == len(built.weights) - 1  # all but alpha
    built.alpha.assign(reference["alpha"])
    return built


def test_inference_features_and_logits(model, reference):
    images = reference["images"][0, 0]
    view = model.inference()
    image = view.input
    features = keras.Model(image, model.branch_features(image)).predict(images, verbose=0)
    assert relative_error(np.concatenate(features, axis=1), reference["eval/features"]) < TOLERANCE
    assert relative_error(view.predict(images, verbose=0), reference["eval/logits"]) < TOLERANCE


def test_training_logits(model, reference):
    logits = model(tuple(reference["images"][0]), training=True)
    assert relative_error(logits, reference["train/logits"]) < TOLERANCE


def test_three_training_steps(model, reference):
    optimizer = SGD(
        float(reference["learning_rate"]),
        coupled_weight_decay=float(reference["weight_decay"]),
        momentum=0.9,
        nesterov=True,
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = [
        model.train_on_batch(tuple(images), tuple(labels), return_dict=True)["loss"]
        for images, labels in zip(reference["images"], reference["labels"], strict=True)
        if not model.reset_metrics()
    ]
    assert relative_error(losses, reference["train/loss"]) < TOLERANCE
    for variable, name, to_keras in torch_names(model):
        assert relative_error(variable, to_keras(reference[f"final/{name}"])) < TOLERANCE, name
