"""A network of the user's own through the modes: standardisation, a frozen trunk, resuming, export, a second stage."""

import pathlib

import keras
import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.models import backbones
from bbn_tf.modes import build, evaluate, export, train
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import checkpoints
from tests import forked, tiny
from tests.in_process import parse

pytestmark = pytest.mark.usefixtures("mirrored", "without_summaries")
SUMMARIES = build.summaries
MEAN, STD = (0.25, 0.5, 0.75), (0.5, 0.25, 0.125)


def own_model():
    inputs = x = keras.Input((32, 32, 3))
    for name in ("first", "last"):
        x = keras.layers.Conv2D(8, 3, strides=2, name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.Dropout(0.5, name=f"{name}_dropout")(keras.layers.ReLU(name=f"{name}_relu")(x))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))


@pytest.fixture(scope="module", autouse=True)
def own():
    keras.utils.set_random_seed(1)
    model = own_model()
    backbones.register("own", model, "last_conv", MEAN, STD)
    yield model
    del backbones.BACKBONES["own"]


@pytest.fixture(scope="module")
def frozen(own, tmp_path_factory, without_summaries):
    """`Config` of a finished BBN with a frozen trunk."""
    folder = str(tmp_path_factory.mktemp("run") / "run")
    settings = {"epochs": 2, "lr_milestones": (), "warmup_epochs": 0, "global_batch_size": 32, "eval_every": 0}
    config = Config(backbone="own", freeze="trunk", model_dir=folder, num_devices=2, **settings)
    train.train_and_evaluate(config)
    return config


def test_a_frozen_trunk_is_as_it_was_and_the_branches_are_not(own, frozen):
    model = build.load_model(RunFolder(frozen.model_dir))
    trunk, last = model.get_layer("trunk"), model.get_layer("conventional_block")
    for layer in ("first_conv", "first_bn"):
        for value, before in zip(trunk.get_layer(layer).get_weights(), own.get_layer(layer).get_weights(), strict=True):
            np.testing.assert_array_equal(value, before)
    assert (last.get_layer("last_conv").get_weights()[0] != own.get_layer("last_conv").get_weights()[0]).any()


def test_every_mode_standardises_as_the_network_wants_it(frozen, tmp_path):
    run = RunFolder(frozen.model_dir)
    metrics, data = run.read_metrics(), build.dataset(frozen)
    assert (metrics["mean"], metrics["std"]) == (list(MEAN), list(STD)) == (list(data.mean), list(data.std))
    again = evaluate.evaluate(parse("--mode=evaluate", f"--model_dir={run.path}", "--num_devices=1"))
    assert again["top1_error"] == metrics["top1_error"]
    images = data.part("eval")[0][:20]
    probabilities = export.Serving(build.load_model(run), export.read_facts(run)).pixels(images)["probabilities"]
    model = build.load_model(run).inference()
    expected = keras.ops.softmax(model(((images / 255 - MEAN) / STD).astype("float32")))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)
    first = next(iter(build.batches(frozen, data, 0)))[0][0]
    unscaled = np.asarray(first) * STD + MEAN  # back in 0..1, where the digits' border is 0
    assert unscaled.min() == pytest.approx(0, abs=1e-6) and unscaled.max() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("formats", [("saved_model", "litert", "onnx")])
def test_exports(frozen, formats):
    folders = export.run(
        parse("--mode=export", f"--model_dir={frozen.model_dir}", f"--export_formats={','.join(formats)}")
    )
    assert len(folders) == len(formats) and all(any(folder.iterdir()) for folder in folders)


def test_a_second_stage_standardises_as_its_first(frozen, tmp_path):
    arguments = ("--mode=probe", f"--from_run={frozen.model_dir}", "--classifier=tau_norm", "--num_devices=1")
    config = parse(*arguments, f"--model_dir={tmp_path}/probe")
    data = build.dataset(config)
    assert (data.mean, data.std) == (MEAN, STD)
    train.train_and_evaluate(config)
    recorded = RunFolder(config.model_dir).read_metrics()
    assert recorded["mean"] == list(MEAN)
    again = evaluate.evaluate(parse("--mode=evaluate", f"--model_dir={tmp_path}/probe", "--num_devices=1"))
    assert again["top1_error"] == recorded["top1_error"]


def test_a_resumed_run_ends_as_one_that_was_not_stopped(own, make_config, tmp_path, monkeypatch):
    """Dropout's draws, too, are those that it would have had; and the smaller rate of the trunk."""
    settings = {"backbone": "own", "epochs": 2, "lr_milestones": (), "warmup_epochs": 0, "eval_every": 0,
                "deterministic": True, "model": "plain", "trunk_lr_factor": 0.1}  # fmt: skip
    whole, halves = (make_config(**settings, model_dir=str(tmp_path / name)) for name in ("whole", "halves"))
    train.train_and_evaluate(whole)

    class Stop(Exception):
        pass

    save = RunFolder.save_checkpoint

    def save_and_stop(self, *args):
        save(self, *args)
        raise Stop

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "save_checkpoint", save_and_stop)
        with pytest.raises(Stop):
            train.train_and_evaluate(halves)
    train.train_and_evaluate(halves)
    one, two = (build.load_model(RunFolder(config.model_dir)).get_weights() for config in (whole, halves))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


JAX = """
import pytest
from bbn_tf.config import Config
from bbn_tf.models import backbones
from bbn_tf.modes import train
from tests import tiny
from tests.modes.test_keras_backbones import MEAN, STD, own_model

tiny.without_summaries(pytest.MonkeyPatch())
backbones.register("own", own_model(), "last_conv", MEAN, STD)
settings = {"lr_milestones": (), "warmup_epochs": 0, "global_batch_size": 64, "eval_every": 0, "epochs": 1}
for more in ({"freeze": "trunk"}, {"trunk_lr_factor": 0.1, "optimizer": "adamw", "mixed_precision": True}):
    config = Config(backbone="own", model_dir=f"FOLDER/{len(more)}", **settings, **more)
    print(train.train_and_evaluate(config)["made_with"]["backend"])
"""


def test_jax(tmp_path):
    pytest.importorskip("jax")
    done = forked.run("-c", JAX.replace("FOLDER", str(tmp_path)), **tiny.JAX, JAX_PLATFORMS="cpu")
    assert done.stdout.count("\njax") == 2, done.stderr


def test_mixed_precision_over_two_replicas(own, make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "summaries", SUMMARIES)
    settings = {"backbone": "own", "epochs": 1, "lr_milestones": (), "warmup_epochs": 0, "eval_every": 0}
    config = make_config(**settings, mixed_precision=True, num_devices=2, trunk_lr_factor=0.5, optimizer="adamw")
    assert train.train_and_evaluate(config)["made_with"]["precision"] == "mixed_bfloat16"
    assert list(pathlib.Path(config.model_dir, "tensorboard").iterdir())
    (folder,) = export.run(parse("--mode=export", f"--model_dir={config.model_dir}", "--export_formats=litert"))
    assert (folder / "model.tflite").is_file()


def test_checkpoints_hold_the_draws_of_dropout(own):
    config = Config(backbone="own", model="plain")
    model = build.model(config, build.dataset(config))
    model.compile(build.optimizer(config, model))
    model.optimizer.build(model.trainable_variables)
    assert sum(name.startswith("seed") for name in checkpoints.arrays_of(model)) == 2


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_trunk_learns_at_its_part_of_the_rate(own, optimizer):
    config = Config(backbone="own", model="plain", trunk_lr_factor=0.125, optimizer=optimizer)
    model = build.model(config, build.dataset(config))
    made = build.optimizer(config, model)
    rates = [made.rate_of(variable, 8.0) for variable in made._trainable_variables]
    trunk = {id(variable) for variable in model.get_layer("trunk").trainable_variables}
    assert rates == [1.0 if id(variable) in trunk else 8.0 for variable in model.trainable_variables]
    assert set(rates) == {1.0, 8.0}


def test_starting_from_a_run_and_from_a_file_of_the_network(own, frozen, make_config, tmp_path, capsys):
    changed = keras.models.clone_model(own)
    changed.set_weights([w + 0.25 for w in own.get_weights()])
    changed.save(tmp_path / "whole.keras")
    settings = {"backbone": "own", "model": "plain", "epochs": 1, "lr_milestones": (), "warmup_epochs": 0,
                "learning_rate": 1e-30}  # fmt: skip
    for path, expected in ((frozen.model_dir, None), (str(tmp_path / "whole.keras"), changed)):
        config = make_config(**settings, init_from=path, model_dir=str(tmp_path / f"from_{expected is None}"))
        train.train_and_evaluate(config)
        model = build.load_model(RunFolder(config.model_dir))
        source = expected or build.load_model(RunFolder(frozen.model_dir)).get_layer("conventional_block")
        np.testing.assert_array_equal(
            model.get_layer("last_block").get_layer("last_conv").get_weights()[0],
            source.get_layer("last_conv").get_weights()[0],
        )


def test_weights_of_another_network(own, frozen, make_config):
    config = make_config(backbone="keras:MobileNetV3Small", init_from=frozen.model_dir, epochs=1, lr_milestones=())
    with pytest.raises(UserError, match=r"--init_from=.*: does not fit --backbone=keras:MobileNetV3Small: .* missing"):
        train.train_and_evaluate(config)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--backbone=keras:MobilNetV3Small", r"unknown \(similar: keras:MobileNetV3Small, .*\); --help lists all"),
        ("--backbone=xyz", "unknown; --help lists all"),
        (
            "--backbone=keras:MobileNetV2 --model=plain --mixup=manifold",
            "has no place in the trunk of --backbone=keras",
        ),
        ("--backbone=keras:ConvNeXtTiny --sync_batch_norm", "there is no BatchNorm in --backbone=keras:ConvNeXtTiny"),
        ("--backbone=resnet32 --cut_layer=x", "has no meaning with --backbone=resnet32, only with keras:"),
        ("--backbone=resnet50 --init_from=imagenet", "no weights are published of --backbone=resnet50"),
        ("--backbone=keras:MobileNetV2 --freeze=trunk", "needs --init_from: a trunk of random weights would stay one"),
        ("--backbone=own --freeze=trunk --trunk_lr_factor=0.1", "has no meaning with --freeze=trunk, only with none"),
        ("--trunk_lr_factor=0", "must be above 0"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(UserError, match=message):
        parse(*arguments.split())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "keras:Xception"}, "keras:Xception: takes images of at least 71 x 71 pixels, .* have 32 x 32"),
        ({"backbone": "own", "cut_layer": "last_cnv"}, r"last_cnv: is no layer of own \(similar: last_conv"),
    ],
)
def test_networks_that_do_not_fit_cost_no_folder(make_config, settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        train.train_and_evaluate(make_config(**settings))
    assert not list((tmp_path).rglob("flags.txt"))


def test_flag_files():
    """What they fine-tune follows from the comparison in docs/results.md."""
    trained, frozen = ("finetune", "plain", "logit_adjusted"), ("bbn_finetune", "bbn", "ce")
    for name, model, loss in (trained, frozen):
        config = parse(f"--flagfile=flags/{name}.flags")
        assert (config.freeze, config.trunk_lr_factor) == (("none", 1.0) if model == "plain" else ("trunk", None))
        assert (config.model, config.loss, config.init_from) == (model, loss, "imagenet")
        assert config.backbone == "keras:EfficientNetV2B0" and config.row("backbone").published


def test_dropped_settings_have_their_default_in_the_name():
    assert "freeze" not in Config(backbone="own").model_dir
    assert "freeze-trunk" in Config(backbone="own", freeze="trunk").model_dir
    assert "keras-MobileNetV2" in Config(backbone="keras:MobileNetV2").model_dir


def test_a_second_stage_of_a_second_stage_standardises_as_the_first_run(tmp_path):
    first = Config(backbone="keras:MobileNet", model_dir=str(tmp_path / "first"))
    RunFolder(first.model_dir).prepare(first.settings(), overwrite=False)
    second = Config(mode="probe", from_run=first.model_dir, model_dir=str(tmp_path / "second"))
    RunFolder(second.model_dir).prepare(second.settings(), overwrite=False)
    third = Config(mode="probe", from_run=second.model_dir, model_dir=str(tmp_path / "third"))
    assert build.dataset(second).mean == build.dataset(third).mean == (0.5, 0.5, 0.5)
