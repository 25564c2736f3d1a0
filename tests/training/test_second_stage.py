"""Second stages: frozen features and what becomes of the classifier, against NumPy."""

import keras
import numpy as np
import pytest

from bbn_tf.errors import UserError
from bbn_tf.models.bbn import FEATURE_CONVENTIONS, build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import build, train
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training.classifiers import tau_normalised
from bbn_tf.training.second_stage import SecondStage
from tests.in_process import run

IMAGES = np.random.default_rng(0).normal(size=(6, 32, 32, 3)).astype("float32")


def make(kind, num_classes=10):
    keras.utils.set_random_seed(1)
    if kind in FEATURE_CONVENTIONS:
        return build_bbn("resnet8", (32, 32, 3), num_classes, feature_convention=kind)
    options = {"ldam": {"cosine_scale": 20.0}, "mixup": {"mixup": True}, "plain": {}}[kind]
    return build_plain("resnet8", (32, 32, 3), num_classes, **options)


@pytest.mark.parametrize("kind", ["published_code", "paper", "ldam", "mixup", "plain"])
def test_linear_view_is_the_model(kind):
    model = make(kind)
    image, features, kernel, bias = model.linear_view()
    representation = keras.Model(image, features)
    expected = np.asarray(model.inference()(IMAGES))
    np.testing.assert_allclose(representation(IMAGES) @ kernel + bias, expected, rtol=1e-3, atol=1e-4)
    assert kernel.shape == (128 if kind in FEATURE_CONVENTIONS else 64, 10)


@pytest.mark.parametrize(("branch", "alpha"), [("conventional", 1.0), ("rebalancing", 0.0)])
def test_linear_view_of_one_branch(branch, alpha):
    model = make("published_code")
    image, features, kernel, bias = model.linear_view(branch)
    representation = keras.Model(image, features)
    expected = np.asarray(model.inference({"it": alpha})(IMAGES)["it"])
    np.testing.assert_allclose(representation(IMAGES) @ kernel + bias, expected, rtol=1e-3, atol=1e-4)


def test_tau_normalised_by_hand():
    kernel, bias = tau_normalised(np.array([[3.0, 0.0], [4.0, 2.0]]), np.ones(2), None, 1.0)
    np.testing.assert_allclose(kernel, [[0.6, 0], [0.8, 1]])
    assert not bias.any()
    np.testing.assert_allclose(
        tau_normalised(np.array([[3.0], [4.0]]), np.ones(1), None, 0.5)[0], [[3 / 5**0.5], [4 / 5**0.5]]
    )
    np.testing.assert_allclose(tau_normalised(np.array([[3.0], [4.0]]), np.ones(1), None, 0.0)[0], [[3], [4]])


@pytest.fixture(scope="module")
def digits():
    from bbn_tf.config import Config

    return build.dataset(Config())


@pytest.mark.parametrize("kind", ["published_code", "ldam"])
def test_post_hoc_logit_adjustment_of_the_whole_model(kind, digits):
    """logits - tau log(N_i / N), Eq. 9 of arXiv:2007.07314, at every image."""
    model = make(kind)
    stage = SecondStage(model, digits, "logit_adjusted", logit_adjustment=1.5)
    expected = np.asarray(model.inference()(IMAGES)) - 1.5 * np.log(digits.class_counts / 305)
    np.testing.assert_allclose(stage.whole(stage.head())(IMAGES), expected, rtol=1e-3, atol=1e-4)


def test_scales_become_weights(digits):
    """LWS: the head's logits are the scaled ones of the run, and the model that is saved has them without scales."""
    model = make("plain")
    stage = SecondStage(model, digits, "lws")
    head = stage.head()
    assert not stage.representation.trainable_weights
    before = np.asarray(model(IMAGES))
    features = np.asarray(stage.representation(IMAGES))
    np.testing.assert_allclose(head(features), before, rtol=1e-4, atol=1e-5)
    assert [w.name for w in head.trainable_weights] == ["scales"]
    head.get_layer("scales").scales.assign(np.arange(10.0))
    norms = np.linalg.norm(model.classifier_kernels()["plain"], axis=0)
    scaled = np.linalg.norm(head.classifier_kernels()["plain"], axis=0)
    np.testing.assert_allclose(scaled, np.arange(10) * norms, rtol=1e-5)
    np.testing.assert_allclose(head(features), np.arange(10) * before, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(stage.whole(head)(IMAGES), np.arange(10) * before, rtol=1e-3, atol=1e-3)


def test_features_are_those_of_images_that_are_not_augmented(digits):
    model = make("plain")
    stage = SecondStage(model, digits, "retrain")
    features = stage.features()
    batch = np.asarray(features.reader("train")(np.array([5, 300])))
    images = np.float32((digits.train_items[[5, 300]] / 255 - digits.mean[0]) / digits.std[0])
    np.testing.assert_allclose(batch, np.asarray(stage.representation(images)), rtol=1e-3, atol=1e-4)
    assert features.eval_items.shape == (600, 64) and features.class_counts.tolist() == digits.class_counts.tolist()


def test_bbn_learns_then_a_classifier_of_its_features_while_these_stay(make_config, tmp_path, without_summaries):
    settings = {"backbone": "resnet8", "epochs": 4, "lr_milestones": (3,), "imbalance_factor": 2.0}
    first = make_config(**settings, model_dir=str(tmp_path / "first"))
    assert train.train_and_evaluate(first)["top1_error"] < 60  # chance is 90
    tmp_path = tmp_path / "second"
    status = run(
        "--mode=probe",
        f"--from_run={first.model_dir}",
        "--branch=rebalancing",
        "--sampler=balanced",
        "--epochs=20",
        "--lr_milestones=15",
        "--eval_every=0",
        "--global_batch_size=100",
        "--num_devices=1",
        f"--model_dir={tmp_path}",
    )
    assert status == (0, "")
    second = RunFolder(tmp_path)
    before, after = build.load_model(RunFolder(first.model_dir)), build.load_model(second)
    figures = second.read_metrics()
    assert figures["top1_error"] < 60
    assert figures["epoch"] == 20 and list(figures["classifier_norms"]) == ["plain"]
    kernel = keras.ops.convert_to_numpy(after.get_layer("classifier").kernel)
    np.testing.assert_allclose(figures["classifier_norms"]["plain"], np.linalg.norm(kernel, axis=0), rtol=1e-5)
    features = keras.Model(after.inputs[0], after.get_layer("classifier").input)(IMAGES)
    np.testing.assert_allclose(features, before.branch_features(IMAGES)[1], rtol=1e-4, atol=1e-5)
    assert run("--mode=evaluate", "--num_devices=1", f"--model_dir={tmp_path}") == (0, "")
    # A second stage is a run like any other: another may begin with it.
    again = tmp_path / "again"
    tau_norm = ["--mode=probe", "--classifier=tau_norm", "--num_devices=1", f"--from_run={tmp_path}"]
    assert run(*tau_norm, f"--model_dir={again}") == (0, "")


def test_what_does_not_fit_is_refused(digits):
    with pytest.raises(UserError, match="--classifier=lws: keeps the 7 classes of --from_run, --dataset has 10"):
        SecondStage(make("plain", 7), digits, "lws")
    SecondStage(make("plain", 7), digits, "retrain")
    other = build_plain("resnet8", (16, 16, 3), 10)
    with pytest.raises(UserError, match=r"--from_run: its images are \(16, 16, 3\), those of --dataset \(32, 32, 3\)"):
        SecondStage(other, digits, "retrain")
