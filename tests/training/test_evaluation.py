import dataclasses

import keras
import numpy as np
import pytest

from bbn_tf.errors import UserError
from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import build
from bbn_tf.training import evaluation as evaluate
from bbn_tf.training import metrics


@pytest.fixture(scope="module")
def bbn_and_digits():
    from bbn_tf.config import Config

    keras.utils.set_random_seed(0)
    model = build_bbn("resnet8", (32, 32, 3), 10)
    data = build.dataset(Config())
    # Each class's mean feature as its weights: errors that are neither chance nor the same at every alpha.
    images = np.float32((data.train_items / 255 - data.mean[0]) / data.std[0])
    features = keras.Model(model.inputs[0], model.branch_features(model.inputs[0])).predict(images, verbose=0)
    classifier = model.get_layer("classifier")
    for kernel, part in zip((classifier.conventional_kernel, classifier.rebalancing_kernel), features, strict=True):
        centred = part - part.mean(axis=0)
        kernel.assign(np.stack([centred[data.train_labels == i].mean(axis=0) for i in range(10)], axis=1))
        classifier.bias.assign_sub(2 * 0.5 * part.mean(axis=0) @ np.asarray(kernel))
    return model, data


def test_figures_from_the_logits_of_the_classifier(bbn_and_digits):
    """Error at every alpha and confidence, from features and Eq. 1 in NumPy float64."""
    model, data = bbn_and_digits
    figures = evaluate.Evaluator(model, data)()
    images = ((data.eval_items / 255 - np.array(data.mean)) / np.array(data.std)).astype("float32")
    features = keras.Model(model.inputs[0], model.branch_features(model.inputs[0])).predict(images, verbose=0)
    kernels, bias = model.classifier_kernels(), np.asarray(model.get_layer("classifier").bias)
    assert list(figures["error_by_alpha"]) == [f"{i / 10:.1f}" for i in range(11)]
    for text, error in figures["error_by_alpha"].items():
        alpha = float(text)
        logits = 2 * alpha * np.float64(features[0]) @ kernels["conventional"]
        logits += 2 * (1 - alpha) * np.float64(features[1]) @ kernels["rebalancing"] + bias
        wrong = np.argmax(logits, axis=1) != data.eval_labels
        assert error == pytest.approx(100 * wrong.mean(), abs=0.2)  # one image may change sides at a near tie
        if alpha == 0.5:
            probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            by_hand = metrics.calibration(probabilities.max(axis=1), ~wrong)
            assert figures["calibration_error"] == pytest.approx(by_hand["calibration_error"], abs=0.3)
    ends = figures["error_by_alpha"]["1.0"], figures["error_by_alpha"]["0.0"], figures["error_by_alpha"]["0.5"]
    assert ends[:2] == (figures["conventional_error"], figures["rebalancing_error"])
    assert ends[2] == pytest.approx(figures["top1_error"])
    assert len(set(figures["error_by_alpha"].values())) > 3


def test_keeps_what_each_image_was_classified_as(bbn_and_digits):
    model, data = bbn_and_digits
    evaluator = evaluate.Evaluator(model, data)
    figures = evaluator()
    assert figures == evaluator.figures
    assert 100 * np.mean(evaluator.predicted != data.eval_labels) == pytest.approx(figures["top1_error"])
    assert evaluator.confidence.shape == (600,) and 0.1 <= evaluator.confidence.min() < evaluator.confidence.max() <= 1
    by_hand = metrics.calibration(evaluator.confidence, evaluator.predicted == data.eval_labels)
    assert by_hand["calibration_error"] == figures["calibration_error"]
    worst = data.class_names.index(figures["worst_class"])
    assert figures["per_class_error"][worst] == max(figures["per_class_error"]) == figures["worst_class_error"]
    assert figures["classes_without_eval_images"] == []


def test_names_the_classes_without_an_image(bbn_and_digits):
    model, data = bbn_and_digits
    some = np.flatnonzero(~np.isin(data.eval_labels, (3, 8)))
    fewer = dataclasses.replace(data, eval_items=data.eval_items[some], eval_labels=data.eval_labels[some])
    figures = evaluate.Evaluator(model, fewer)()
    assert figures["classes_without_eval_images"] == ["3", "8"]
    assert figures["balanced_error"] == pytest.approx(np.mean([e for e in figures["per_class_error"] if e is not None]))


def test_classifier_norms_by_hand():
    bbn = build_bbn("resnet8", (32, 32, 3), 3)
    layer = bbn.get_layer("classifier")
    layer.conventional_kernel.assign(np.ones((64, 3)) * [3, 6, 9])
    layer.rebalancing_kernel.assign(np.ones((64, 3)) * [4, 8, 0])
    norms = evaluate.classifier_norms(bbn)  # sqrt(64) = 8
    assert norms == {"conventional": [24, 48, 72], "rebalancing": [32, 64, 0], "combined": [40, 80, 72]}
    plain = build_plain("resnet8", (32, 32, 3), 3)
    plain.get_layer("classifier").kernel.assign(np.ones((64, 3)) * [1, 2, 3])
    assert evaluate.classifier_norms(plain) == {"plain": [8, 16, 24]}


def test_answers_that_are_no_numbers_are_refused(bbn_and_digits):
    """Weights that the last step of an epoch has ruined: the loss was still finite."""
    model = build_plain("resnet8", (32, 32, 3), 10)
    model.get_layer("classifier").bias.assign([np.nan] * 10)
    with pytest.raises(UserError, match="no numbers: training diverged"):
        evaluate.Evaluator(model, bbn_and_digits[1])()


def test_norms_of_cosines_are_their_scale():
    model = build_plain("resnet8", (32, 32, 3), 3, cosine_scale=30.0)
    assert evaluate.classifier_norms(model)["plain"] == pytest.approx([30, 30, 30])
