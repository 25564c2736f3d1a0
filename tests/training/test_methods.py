"""Every method's flag file on the digits, end to end; what is deferred begins when it should."""

import functools
import pathlib
import shutil
import sys

import keras
import numpy as np
import pytest

from bbn_tf.data import input_pipeline
from bbn_tf.models.bbn import BBN
from bbn_tf.models.plain import Plain, build_plain
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import callbacks
from bbn_tf.training.cross_entropy import AdjustedCrossEntropy
from bbn_tf.training.losses import LOSSES
from tests import forked, tiny
from tests.in_process import parse, run

ROOT = pathlib.Path(__file__).parents[2]
NO_METHODS = {"cifar10_lt", "cifar100_lt", "imagenet_lt", "places_lt", "ldam_schedule", "quickstart"}
NEED_WEIGHTS = {"finetune", "bbn_finetune"}  # tests/modes/test_keras_backbones.py trains such networks
SECOND_STAGES = ["crt", "lws", "tau_norm", "logit_adjusted_post_hoc"]
STEMS = sorted(path.stem for path in (ROOT / "flags").glob("*.flags"))
FIRST_STAGES = [
    stem for stem in STEMS if stem not in {*NO_METHODS, *NEED_WEIGHTS, *SECOND_STAGES} and "inaturalist" not in stem
]
ON_JAX = (  # each loss, the mixup of streams, and each classifier; the others differ in what JAX does not see
    "balanced_softmax",
    "bbn",
    "cb_focal",
    "ce",
    "ldam_drw",
    "logit_adjusted",
    "manifold_mixup_two_samplers",
    "crt",
    "lws",
    "tau_norm",
    "logit_adjusted_post_hoc",
)
pytestmark = pytest.mark.usefixtures("mirrored")
TINY = (
    "--epochs=2",
    "--lr_milestones=",
    "--warmup_epochs=0",
    "--global_batch_size=100",
    "--num_devices=1",
    "--eval_every=0",
)


def command(method, folder):
    method_file = f"--flagfile=flags/{method}.flags"
    if method in SECOND_STAGES:
        training = ["--epochs=2", "--lr_milestones=", "--global_batch_size=100"] if method in ("crt", "lws") else []
        first = ["--num_devices=1", f"--from_run={folder.parent / 'ce'}"]
        return [method_file, *first, *training, f"--model_dir={folder}"]
    later = ["--deferred_epoch=1"] if method in ("ce_drw", "ce_drs", "ldam_drw") else []
    backbone = "tiny_stages" if method.startswith("manifold") else "tiny"  # which has no three places to mix in
    return [method_file, *TINY, *later, f"--backbone={backbone}", f"--model_dir={folder}"]


def train_all(methods, folder):
    """Methods' flag files, second stages after what they begin with, into a folder each."""
    for method in methods:
        assert run(*command(method, folder / method)) == (0, ""), method


def train_all_on_jax(folder):
    with pytest.MonkeyPatch.context() as patch:
        tiny.without_summaries(patch)
        tiny.optimise(False)
        train_all(ON_JAX, folder)


def test_methods_of_the_paper_are_there():
    table_1 = {
        "bbn",
        "ce",
        "focal",
        "mixup",
        "manifold_mixup",
        "manifold_mixup_two_samplers",
        "ce_drw",
        "ce_drs",
        "cb_focal",
        "ldam_drw",
    }
    assert table_1 | {"rw", "rs", "balanced_softmax", "logit_adjusted"} <= set(FIRST_STAGES)
    assert set(ON_JAX) >= set(SECOND_STAGES)
    on_jax = [parse(f"--flagfile=flags/{method}.flags").loss for method in ON_JAX if method not in SECOND_STAGES]
    assert set(on_jax) == set(LOSSES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mirrored, without_summaries):
    """Function of the backend's name: the folder with a run of every method."""

    @functools.cache
    def folder_of(backend):
        folder = tmp_path_factory.mktemp(backend)
        if backend == "tensorflow":
            train_all([*FIRST_STAGES, *SECOND_STAGES], folder)
            return folder
        pytest.importorskip(backend)
        process = forked.run("-m", "tests.training.test_methods", folder, **tiny.JAX)
        assert process.returncode == 0, process.stderr[-3000:]
        return folder

    return folder_of


@pytest.mark.parametrize(
    ("method", "backend"),
    [*((method, "tensorflow") for method in [*FIRST_STAGES, *SECOND_STAGES]), *((method, "jax") for method in ON_JAX)],
)
def test_trains_and_evaluates_alike(method, backend, trained):
    run_folder = RunFolder(trained(backend) / method)
    figures, losses = run_folder.read_metrics(), [float(row["loss"]) for row in run_folder.read_history()]
    epochs = 0 if method in ("tau_norm", "logit_adjusted_post_hoc") else 2
    assert len(losses) == figures["epoch"] == epochs and np.all(np.isfinite(losses))
    assert 0 <= figures["top1_error"] <= 100
    if backend == "jax":  # what was trained there is loaded by TensorFlow
        assert isinstance(build.load_model(run_folder), BBN if method == "bbn" else Plain)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_every_step_sees_what_callbacks_set(backend, trained):
    """Weights that change between epochs, shares that change every step: as the last step left them."""
    weighted, mixed = (
        build.load_model(RunFolder(trained(backend) / m)) for m in ("ldam_drw", "manifold_mixup_two_samplers")
    )
    assert np.ptp(keras.ops.convert_to_numpy(weighted.class_weights)) > 0.1
    assert [float(layer.share) for layer in mixed.mixup_layers] == pytest.approx(drawn(2.0, True, epoch=1, step=2))


@pytest.mark.parametrize("method", ["ce_drs", "ldam_drw"])
def test_resume_across_the_deferred_epoch(method, trained, tmp_path):
    """Stopped before weights or sampler change, and gone on with after it: the second epoch is the same."""
    folder = RunFolder(tmp_path)
    shutil.copytree(trained("tensorflow") / method, tmp_path, dirs_exist_ok=True)
    for path in (folder.metrics_file, folder.model_file, folder.checkpoint_files()[0][1]):
        path.unlink()
    before = [float(row["loss"]) for row in folder.read_history()]
    assert run(*command(method, tmp_path)) == (0, "")
    assert [float(row["loss"]) for row in folder.read_history()] == pytest.approx(before, rel=1e-4)


def drawn(concentration, anywhere, epoch, step):
    """The shares of the three places in one step of a run of seed 0."""
    rng = np.random.default_rng((0, epoch, step))
    place = rng.integers(3) if anywhere else 0
    share = rng.beta(concentration, concentration)
    return [share if p == place else 1.0 for p in range(3)]


@pytest.mark.parametrize("anywhere", [False, True])
def test_mixup_draws(anywhere):
    """Places and shares follow their laws, and depend on (seed, epoch, step) alone."""
    model = build_plain("resnet8", (32, 32, 3), 3, mixup=True)
    assert [layer.name for layer in model.mixup_layers] == ["mixup_0", "mixup_1", "mixup_2"]
    callback = callbacks.DrawMixup(2.0, anywhere, seed=0)
    callback.set_model(model)
    callback.on_epoch_begin(5)
    shares = []
    for step in range(300):
        callback.on_train_batch_begin(step)
        shares.append([float(layer.share) for layer in model.mixup_layers])
    assert shares[7] == pytest.approx(drawn(2.0, anywhere, epoch=5, step=7))
    shares = np.array(shares)
    assert np.all(np.sum(shares < 1, axis=1) == 1)
    places = np.mean(shares < 1, axis=0)
    np.testing.assert_allclose(places, [1 / 3] * 3 if anywhere else [1, 0, 0], atol=0.1)
    values = shares.min(axis=1)  # Beta(2, 2): mean 1/2, variance 1/20
    assert values.mean() == pytest.approx(0.5, abs=0.05) and values.var() == pytest.approx(0.05, abs=0.012)


def test_mixed_loss_by_hand():
    """Eq. of arXiv:1710.09412: share * E(p, y) + (1 - share) * E(p, partner's y), weighted by class."""
    model = build_plain("resnet8", (32, 32, 3), 3, mixup=True)
    model.compile(loss=AdjustedCrossEntropy())
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    labels, weights = np.array([0, 1, 2, 2]), np.array([1.0, 2.0, 4.0])
    model.class_weights.assign(weights)
    model.mixup_layers[1].share.assign(0.7)
    entropies = -logits + np.log(np.exp(logits).sum(1, keepdims=True))

    def weighted(y):
        return np.sum(weights[y] * entropies[np.arange(4), y]) / weights[y].sum()

    expected = 0.7 * weighted(labels) + 0.3 * weighted(labels[[1, 0, 3, 2]])
    assert float(model.compute_loss(None, labels, logits)) == pytest.approx(expected, rel=1e-5)


def test_manifold_mixup_mixes_where_it_says():
    """With one place's share at 0 every image takes its partner's place there: outputs are exchanged."""
    model = build_plain("resnet14", (32, 32, 3), 3, mixup=True)
    images = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
    plain = np.asarray(model(images, training=True))
    assert np.ptp(plain) > 1e-3
    for layer in model.mixup_layers:
        layer.share.assign(0.0)
        np.testing.assert_allclose(model(images, training=True), plain[[1, 0, 3, 2]], rtol=1e-3, atol=1e-4)
        layer.share.assign(1.0)
    before = model(images)
    model.mixup_layers[0].share.assign(0.3)
    np.testing.assert_array_equal(model(images), before)  # inference mixes nothing


def test_two_samplers_stand_side_by_side():
    data = build.dataset(train_config())
    paired = input_pipeline.training_batches(
        data, 50, sampler="reversed", paired=True, augment="none", seed=1, initial_epoch=0, epochs=1
    )
    ((x_c, x_r), (y_c, y_r)), (x, y) = next(iter(paired)), next(iter(input_pipeline.interleaved(paired)))
    assert x.shape == (100, 32, 32, 3) and y.shape == (100,)
    for stream, (images, labels) in enumerate(((x_c, y_c), (x_r, y_r))):
        assert np.array_equal(x[stream::2], images) and np.array_equal(y[stream::2], labels)


def test_deferred_weights_begin_at_their_epoch():
    model = build_plain("resnet8", (32, 32, 3), 3)
    callback = callbacks.DeferClassWeights([0.5, 1.0, 1.5], first_epoch=4)
    callback.set_model(model)
    seen = []
    for epoch in (0, 3, 4, 9, 3):  # as after a resume, in any order
        callback.on_epoch_begin(epoch)
        seen.append(keras.ops.convert_to_numpy(model.class_weights).tolist())
    assert seen == [[1, 1, 1], [1, 1, 1], [0.5, 1, 1.5], [0.5, 1, 1.5], [1, 1, 1]]


def test_class_weights_weight_the_loss():
    """Read anew at every step of a compiled training, and by the label's class."""
    model = build_plain("resnet8", (32, 32, 3), 3)
    model.compile(keras.optimizers.SGD(0.0), AdjustedCrossEntropy())
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
    data = build.dataset(train_config())
    steps = len(data.train_labels) // 50
    batches = list(
        input_pipeline.training_batches(
            data,
            50,
            sampler="balanced",
            paired=False,
            augment="none",
            seed=1,
            initial_epoch=initial_epoch,
            epochs=4,
            deferred_epoch=2,
        )
    )
    assert len(batches) == (4 - initial_epoch) * steps
    for number, epoch in enumerate(range(initial_epoch, 4)):
        labels = np.concatenate([y for _, y in batches[number * steps : (number + 1) * steps]])
        share_of_rarest = np.mean(labels == 9)
        assert (share_of_rarest < 0.01) == (epoch < 2), (epoch, share_of_rarest)


def train_config():
    from bbn_tf.config import Config

    return Config(model="plain", sampler="balanced")


if __name__ == "__main__":
    train_all_on_jax(pathlib.Path(sys.argv[1]))
