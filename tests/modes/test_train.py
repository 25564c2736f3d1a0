"""The real loop, end to end, on the digits with the smallest network."""

import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import shutil

import keras
import numpy as np
import pytest

from bbn_tf.errors import UserError
from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import build, train
from bbn_tf.runs import csv_files
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import callbacks, metrics
from bbn_tf.training.evaluation import Evaluator
from tests import forked, tiny

pytestmark = pytest.mark.usefixtures("mirrored", "without_summaries")
SUMMARIES = build.summaries


def history(config):
    return RunFolder(config.model_dir).read_history()


def weights(config):
    """Saved weights, float64 vector."""
    model = keras.models.load_model(RunFolder(config.model_dir).model_file)
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(w)) for w in model.weights]).astype(np.float64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One run of three epochs, looked at by several tests: (config, metrics)."""
    from bbn_tf.config import Config

    config = Config(
        backbone="tiny",
        epochs=3,
        lr_milestones=(2,),
        lr_factor=0.1,
        warmup_epochs=1,
        global_batch_size=32,
        num_devices=1,
        eval_every=2,
        model_dir=str(tmp_path_factory.mktemp("trained") / "run"),
    )
    return config, train.train_and_evaluate(config)


def test_run_folder_and_figures(trained):
    config, figures = trained
    run = RunFolder(config.model_dir)
    assert json.loads(run.metrics_file.read_text()) == figures
    expected = {
        "top1_error",
        "many_error",
        "medium_error",
        "few_error",
        "per_class_error",
        "class_counts",
        "epoch",
        "num_train",
        "seconds",
        "conventional_error",
        "rebalancing_error",
    }
    assert expected <= set(figures)
    assert (figures["epoch"], figures["num_train"], figures["evaluated_on"]) == (3, 305, "test")
    assert len(figures["per_class_error"]) == 10
    # 60 test images a class: the mean over the classes is the error over the images; groups by training images.
    assert figures["top1_error"] == pytest.approx(np.mean(figures["per_class_error"]))
    assert figures["few_error"] == pytest.approx(np.mean(figures["per_class_error"][4:]))
    assert figures["medium_error"] == pytest.approx(np.mean(figures["per_class_error"][1:4]))
    assert figures["many_error"] == pytest.approx(figures["per_class_error"][0])
    assert [name for _, name in run.checkpoint_files()] == [
        run.checkpoints / f"epoch-000{epoch}.npz" for epoch in (3, 2)
    ]


def test_history_shows_the_schedules_and_both_parts_of_eq_3(trained):
    rows = history(trained[0])
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [float(row["alpha"]) for row in rows] == pytest.approx([1, 1 - 1 / 9, 1 - 4 / 9])
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([0.1 / 3, 0.1, 0.01], rel=1e-6)
    for row in rows:
        alpha = float(row["alpha"])
        parts = alpha * float(row["conventional_loss"]) + (1 - alpha) * float(row["rebalancing_loss"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-4)
    assert [bool(row["top1_error"]) for row in rows] == [False, True, True]  # every second epoch and the last
    assert float(rows[-1]["top1_error"]) == pytest.approx(trained[1]["top1_error"])


def test_errors_are_those_of_the_saved_model_at_each_alpha(trained):
    """From the training view of the model: both images the same, alpha set by hand, in NumPy."""
    config, figures = trained
    model = build.load_model(RunFolder(config.model_dir))
    data = build.dataset(config)
    images = ((data.eval_items / 255 - np.array(data.mean)) / np.array(data.std)).astype("float32")
    features = keras.Model(model.inputs[0], model.branch_features(model.inputs[0])).predict(images, verbose=0)
    classifier = model.get_layer("classifier")
    kernels = [keras.ops.convert_to_numpy(w) for w in (classifier.conventional_kernel, classifier.rebalancing_kernel)]
    for name, alpha in {"top1_error": 0.5, "conventional_error": 1, "rebalancing_error": 0}.items():
        logits = 2 * alpha * features[0] @ kernels[0] + 2 * (1 - alpha) * features[1] @ kernels[1]
        predicted = np.argmax(logits + keras.ops.convert_to_numpy(classifier.bias), axis=1)
        # One image may change sides at a near tie.
        assert 100 * np.mean(predicted != data.eval_labels) == pytest.approx(figures[name], abs=0.2)


def test_other_settings_train(make_config):
    settings = {"feature_convention": "paper", "augment": "none", "nesterov": False, "adaptor": "equal"}
    settings |= {"sampler": "balanced", "mixed_precision": True, "weight_decay": 0.0}
    settings |= {"imbalance_profile": "step", "imbalance_factor": 10.0}
    config = make_config(epochs=1, lr_milestones=(), **settings)
    assert 0 <= train.train_and_evaluate(config)["top1_error"] <= 100
    assert np.isfinite(weights(config)).all()


def test_beta_alpha_is_drawn_every_step_and_figures_are_of_the_held_out_part(make_config, monkeypatch):
    evaluate, evaluated = Evaluator.__call__, []
    monkeypatch.setattr(Evaluator, "__call__", lambda self: (evaluated.append(self), evaluate(self))[1])
    config = make_config(adaptor="beta", validation_fraction=0.2, epochs=2, lr_milestones=())
    figures = train.train_and_evaluate(config)
    assert len(evaluated) == 1  # after the last epoch, not once more at the end
    rng = [np.random.default_rng((0, 1, step)).beta(0.2, 0.2) for step in range(7)]
    assert float(history(config)[1]["alpha"]) == pytest.approx(np.mean(rng))
    assert (figures["num_train"], figures["num_eval"], figures["evaluated_on"]) == (243, 62, "validation")
    assert figures["class_counts"] == [88, 57, 37, 23, 15, 10, 6, 4, 2, 1]


def test_replicas_equal_one_device(make_config, tmp_path, monkeypatch):
    """MirroredStrategy on two logical CPU devices, BatchNorm over both, against one device: every number.

    In float64: in float32 rounding alone moves BatchNorm's beta, which starts at zero, by a hundredth.  Replicas whose
    statistics are their own train to other losses, though not far from these.
    """

    def build_model(config, dataset):
        options = {"dtype": "float64", "synchronized": config.sync_batch_norm}
        return build_bbn("tiny", dataset.input_shape, 10, **options)

    monkeypatch.setattr(build, "model", build_model)
    monkeypatch.setattr(Evaluator, "__call__", lambda self: {"top1_error": 0.0})  # takes as long as the training
    monkeypatch.setattr(csv_files, "write_evaluation", lambda folder, dataset, evaluator: None)
    results = []
    for devices, sync in ((1, True), (2, True), (2, False)):
        config = make_config(
            num_devices=devices,
            sync_batch_norm=sync,
            model_dir=str(tmp_path / f"{devices}{sync}"),
            epochs=2,
            lr_milestones=(),
            global_batch_size=100,
        )
        train.train_and_evaluate(config)
        rows = [
            [float(row[name]) for name in ("loss", "conventional_loss", "rebalancing_loss")] for row in history(config)
        ]
        model = build.load_model(RunFolder(config.model_dir))
        results.append((rows, [keras.ops.convert_to_numpy(w) for w in model.weights]))
    (losses, one_device), (of_two, two_devices), (of_their_own, _) = results
    np.testing.assert_allclose(of_two, losses, rtol=1e-5)  # fit()'s losses are float32
    for one, other in zip(one_device, two_devices, strict=True):
        assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(one)
    loss, shared = of_their_own[0][0], losses[0][0]  # of the first epoch
    assert loss != pytest.approx(shared, rel=1e-5) and loss == pytest.approx(shared, rel=0.2)


@pytest.mark.parametrize("devices", [2, 4])
def test_replicas_share_every_batch_and_see_each_image_once_an_epoch(devices, make_config):
    """Of the uniform stream, as `fit` distributes it; here an image is its number in the data set."""
    config = make_config(num_devices=devices, global_batch_size=60, augment="none")
    dataset = build.dataset(config)
    numbers = np.arange(305)  # for the 305 images of the digits; the last 5 of an epoch's order fill no batch
    numbered = np.stack([numbers % 256, numbers // 256, 0 * numbers], axis=-1).astype("uint8")[:, None, None]
    numbered = dataclasses.replace(dataset, train_items=numbered, mean=(0, 0, 0), std=(1 / 255, 1 / 255, 1 / 255))
    strategy = build.strategy(config)
    batches = iter(strategy.experimental_distribute_dataset(build.batches(config, numbered, 0)))
    for _ in range(config.epochs):
        epoch = []
        for _ in range(5):
            (x, _), _ = next(batches)
            parts = [part.numpy()[:, 0, 0] @ [1, 256, 0] for part in strategy.experimental_local_results(x)]
            assert [len(part) for part in parts] == [60 // devices] * devices
            epoch.extend(np.round(np.concatenate(parts)))
        assert len(set(epoch)) == 300 and set(epoch) <= set(numbers)


def test_batch_that_replicas_cannot_share(make_config):
    with pytest.raises(UserError, match=r"^--global_batch_size=31: must be divisible by 2, the number of replicas"):
        train.train_and_evaluate(make_config(num_devices=2, global_batch_size=31))


@pytest.mark.parametrize(("settings", "waits"), [({}, False), ({"adaptor": "beta"}, True)])
def test_what_looks_at_steps_makes_jax_wait_only_where_it_draws_every_step(make_config, settings, waits, monkeypatch):
    monkeypatch.setattr(build, "summaries", SUMMARIES)
    config = make_config(model="bbn", **settings)
    dataset = build.dataset(config)
    evaluator = Evaluator(build.model(config, dataset), dataset)
    made = build.training_callbacks(config, RunFolder(config.model_dir), dataset, evaluator)
    looks = [c for c in made if type(c).on_train_batch_end is not keras.callbacks.Callback.on_train_batch_end]
    assert len(looks) == 4  # alpha, learning rate, the loss, TensorBoard
    assert waits == any(not getattr(callback, "async_safe", False) for callback in looks)


def test_the_first_diverged_step_is_named_in_whatever_order_threads_see_the_steps():
    callback = callbacks.StopOnNonFiniteLoss()
    callback.on_epoch_begin(4)
    callback.on_train_batch_end(3, {"loss": math.inf})  # step 4; which of 1, 2 and 3 was the first is not known yet
    callback.on_train_batch_end(0, {"loss": 1.0})
    callback.on_train_batch_end(2, {"loss": math.nan})
    with pytest.raises(UserError, match=r"^loss is nan in epoch 5, step 3: "):
        callback.on_train_batch_end(1, {"loss": 1.0})


def test_diverged_training_names_epoch_and_step(make_config):
    config = make_config(learning_rate=1e30, warmup_epochs=0)
    with pytest.raises(UserError, match=r"^loss is (nan|inf) in epoch 1, step \d+: training diverged"):
        train.train_and_evaluate(config)
    assert not RunFolder(config.model_dir).metrics_file.exists()


def test_evaluator_counts_by_class(make_config):
    """A model that always says 3."""
    data = build.dataset(make_config())
    model = build_plain("resnet8", data.input_shape, 10)
    model.get_layer("classifier").set_weights([np.zeros((64, 10)), np.eye(10)[3]])
    figures = Evaluator(model, data)()
    assert figures["per_class_error"] == [100.0] * 3 + [0.0] + [100.0] * 6
    assert figures["top1_error"] == pytest.approx(90)
    assert figures["few_error"] == 100 and figures["medium_error"] == pytest.approx(200 / 3)
    assert metrics.top1_error(np.eye(10)) == 0


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_jax_backend_trains_to_the_same_losses(trained, tmp_path):
    """JAX resumes after TensorFlow's second epoch: the losses of the third and the figures agree."""
    config, figures = trained
    shutil.copytree(config.model_dir, tmp_path, dirs_exist_ok=True)
    run = RunFolder(tmp_path)
    for file in (run.metrics_file, run.model_file, run.checkpoint_files()[0][1]):
        file.unlink()
    settings = (f"--flagfile={run.flags_file}", f"--model_dir={tmp_path}", "--num_devices=1")
    process = forked.run("-m", "tests.tiny", *settings, **tiny.JAX)
    assert process.returncode == 0, process.stderr
    assert "Warning" not in process.stderr
    assert "epochs 3 to 3" in process.stdout and run.read_metrics()["made_with"]["backend"] == "jax"
    assert run.read_metrics()["made_with"]["jax"] == importlib.metadata.version("jax")
    losses = [
        [float(rows[2][name]) for name in ("loss", "conventional_loss", "rebalancing_loss")]
        for rows in (history(config), run.read_history())
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-3)
    assert run.read_metrics()["top1_error"] == pytest.approx(figures["top1_error"], abs=2)
