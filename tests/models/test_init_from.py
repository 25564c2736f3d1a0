import re

import keras
import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.models import init_from
from bbn_tf.models.bbn import BRANCHES, build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from tests import numpy_resnet
from tests.in_process import parse, run
from tests.test_fuzz import damaged, digest

SHAPE = (32, 32, 3)
BUILD = {"bbn": build_bbn, "plain": build_plain}


def random_model(kind, backbone="resnet8", num_classes=5, seed=0, **options):
    """With random values in every weight, so that none can be mistaken for another."""
    rng = np.random.default_rng(seed)
    model = BUILD[kind](backbone, SHAPE, num_classes, **options)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


def values(model, part):
    """dict weight -> array; a draw of mixup is no weight."""
    weights = [(layer.name, w) for layer in model.get_layer(part).layers for w in layer.weights if w.name != "share"]
    return {f"{layer}/{weight.name}": keras.ops.convert_to_numpy(weight) for layer, weight in weights}


@pytest.mark.parametrize(
    ("source", "target", "parts", "line"),
    [
        # ResNet-8: 7 convolutions and their BatchNorms, 35 arrays, 10 of them the last block's.
        (
            "plain",
            "bbn",
            {"conventional_block": "last_block", "rebalancing_block": "last_block"},
            "35 of 38 arrays loaded; left out: 2 classifier, class_weights",
        ),
        (
            "plain",
            "plain",
            {"last_block": "last_block"},
            "35 of 38 arrays loaded; left out: 2 classifier, class_weights",
        ),
        ("bbn", "bbn", {name: name for name in BRANCHES}, "45 of 49 arrays loaded; left out: 4 classifier"),
        (
            "bbn",
            "plain",
            {"last_block": "conventional_block"},
            "35 of 49 arrays loaded; left out: 10 rebalancing_block, 4 classifier",
        ),
    ],
)
def test_every_weight_of_an_earlier_run_lands_where_it_must(source, target, parts, line, tmp_path, capsys):
    earlier = random_model(source)
    earlier.save(tmp_path / "model.keras")
    model = random_model(target, num_classes=7, seed=1)
    classifier = [keras.ops.convert_to_numpy(w) for w in model.get_layer("classifier").weights]
    init_from.check(tmp_path / "model.keras", "resnet8")
    assert capsys.readouterr().out == ""
    init_from.load(tmp_path, "resnet8", model)
    assert capsys.readouterr().out == f"init_from {tmp_path}: {line}\n"
    for part, origin in {"trunk": "trunk", **parts}.items():
        expected = values(earlier, origin)
        assert values(model, part).keys() == expected.keys()
        for name, value in values(model, part).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=f"{part}/{name}")
    for weight, before in zip(model.get_layer("classifier").weights, classifier, strict=True):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("mixed", ["source", "target"])
def test_mixup_is_no_weight(mixed, tmp_path):
    random_model("plain", mixup=mixed == "source").save(tmp_path / "model.keras")
    model = BUILD["plain"]("resnet8", SHAPE, 5, mixup=mixed == "target")
    init_from.load(tmp_path, "resnet8", model)
    assert [float(layer.share) for layer in model.mixup_layers] == [1.0] * (3 if mixed == "target" else 0)


def torchvision(path, backbone, **changes):
    """Writes a checkpoint as the README says; `changes`: arrays by name with _ for the dots, None to leave one out."""
    state = numpy_resnet.random_state_dict(backbone)
    for name in [name for name in state if name.endswith("running_var")]:
        state[name.replace("running_var", "num_batches_tracked")] = np.array(7)
    state |= {"fc.weight": np.ones((1000, 512), np.float32), "fc.bias": np.ones(1000, np.float32), **changes}
    np.savez(path, **{name: array for name, array in state.items() if array is not None})
    return state


@pytest.mark.parametrize(
    ("backbone", "arrays"), [("resnet10", (60, 74)), ("resnet50", (265, 320)), ("resnext50_32x4d", (265, 320))]
)
def test_torchvisions_features(backbone, arrays, tmp_path, capsys):
    """ResNet-50: 53 convolutions and their BatchNorms (ResNet-10: 12), five arrays each and a counter, and fc."""
    path = tmp_path / "weights.npz"
    state = torchvision(path, backbone)
    model = build_bbn(backbone, (33, 47, 3), 4)
    init_from.load(path, backbone, model)
    left_out = f"{arrays[0] // 5} num_batches_tracked, fc.weight, fc.bias"
    assert capsys.readouterr().out.endswith(f": {arrays[0]} of {arrays[1]} arrays loaded; left out: {left_out}\n")
    images = np.random.default_rng(1).normal(size=(2, 33, 47, 3)).astype("float32")
    expected = numpy_resnet.features(state, images)
    assert np.ptp(expected) > 0.1
    for features in model.branch_features(images):
        error = np.linalg.norm(keras.ops.convert_to_numpy(features) - expected) / np.linalg.norm(expected)
        assert error < 1e-4


KERNEL = np.ones((64, 64, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"conv1.weight": None}, "conv1.weight is missing"),
        ({"layer4.0.downsample.1.running_var": None}, "layer4.0.downsample.1.running_var is missing"),
        (
            {"layer1.0.conv2.weight": KERNEL[:, :, 1:, 1:]},
            "layer1.0.conv2.weight has the shape [2, 2, 64, 64], must have [3, 3, 64, 64]",
        ),
        ({"bn1.bias": KERNEL}, "bn1.bias has the shape [3, 3, 64, 64], must have [64]"),
        ({"bn1.bias": np.ones(64, int)}, "bn1.bias holds int64, must hold floating-point numbers"),
        ({"layer1.1.conv1.weight": KERNEL}, "layer1.1.conv1.weight has no place in it"),
    ],
)
def test_torchvisions_weights_that_do_not_fit(changes, message, tmp_path):
    torchvision(tmp_path / "x.npz", "resnet10", **changes)
    with pytest.raises(UserError, match="x.npz: does not fit --backbone=resnet10: " + re.escape(message)):
        init_from.check(tmp_path / "x.npz", "resnet10")


@pytest.mark.parametrize(
    ("earlier", "backbone", "message"),
    [
        ("resnet20", "resnet14", "trunk/stage1_block3_1_conv/kernel has no place in it"),
        ("resnet14", "resnet20", "trunk/stage1_block3_1_conv/kernel is missing"),
        # ResNet-8's last block is the one that begins the stage.
        ("resnet14", "resnet8", "/block_1_conv/kernel has the shape [3, 3, 64, 64], must have [3, 3, 32, 64]"),
        ("resnet14", "resnet10", "trunk/stem_conv/kernel has the shape [3, 3, 3, 16], must have [7, 7, 3, 64]"),
    ],
)
def test_a_run_of_another_network(earlier, backbone, message, tmp_path):
    random_model("bbn", earlier).save(tmp_path / "model.keras")
    with pytest.raises(UserError, match=f"does not fit --backbone={backbone}: .*" + re.escape(message)):
        init_from.check(tmp_path, backbone)


def test_a_foreign_model(tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(tmp_path / "x.keras")
    with pytest.raises(UserError, match="does not fit --backbone=resnet8: trunk/stem_conv/kernel is missing"):
        init_from.check(tmp_path / "x.keras", "resnet8")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.npz", "x" * 300 + ".npz", "folder", "notes.txt"])
def test_what_is_no_file_of_weights(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no weights")
    with pytest.raises(UserError, match=f"--init_from={tmp_path / name}: must be the folder .* is no such file"):
        init_from.check(tmp_path / name, "resnet8")


@pytest.mark.parametrize("name", ["x.npz", "x.keras"])
def test_damaged_files(name, tmp_path):
    path = tmp_path / name
    if name == "x.npz":
        np.savez(path, **{"conv1.weight": np.random.default_rng(0).normal(size=(64, 3, 7, 7))})
    else:
        random_model("plain").save(path)
    np.savez(tmp_path / "pickle.npz", conv1=np.array([{}], object))
    whole, pickled = path.read_bytes(), (tmp_path / "pickle.npz").read_bytes()
    for content in [*(content for _, content in damaged(whole)), pickled]:
        path.write_bytes(content)
        with pytest.raises(UserError, match=re.escape(f"--init_from={path}: damaged, can't be read (")):
            init_from.check(path, "resnet10")


def test_settings(tmp_path):
    config = parse("--init_from=saved_models/if12.5_run/", "--imbalance_factor=10")
    assert "_init_from-if12.5_run_" in config.model_dir
    assert config.settings()["init_from"] == "saved_models/if12.5_run/"
    assert config.with_model("plain", "elsewhere").init_from == config.init_from
    assert "init_from" not in Config().settings() and "init" not in Config().model_dir
    for path in ("", tmp_path, tmp_path / "run" / ".." / "bbn" / "model.keras"):
        with pytest.raises(UserError, match=f"^--init_from={path}: must "):
            Config(init_from=str(path), model_dir=str(tmp_path))
    Config(init_from=f"{tmp_path}-2", model_dir=str(tmp_path))
    RunFolder(tmp_path).prepare(config.settings(), overwrite=False)
    assert parse("--mode=evaluate", f"--model_dir={tmp_path}").init_from == config.init_from  # which need not be there


def test_trains_from_it_and_goes_on_without_it(finished_run, tmp_path, capsys, without_summaries):
    """At a learning rate of nothing the weights stay as they were loaded."""
    source = tmp_path / "source.keras"
    earlier = build.load_model(RunFolder(finished_run(model="plain").model_dir))
    earlier.save(source)
    folder = RunFolder(tmp_path / "run")
    command = [
        "--model=plain",
        "--backbone=tiny",
        "--epochs=1",
        "--lr_milestones=",
        "--warmup_epochs=0",
        "--learning_rate=1e-30",
        "--global_batch_size=150",
        "--num_devices=1",
        "--eval_every=0",
        f"--model_dir={folder.path}",
        f"--init_from={source}",
    ]
    assert run(*command) == (0, "")
    loaded = f"init_from {source}: 15 of 18 arrays loaded; left out: 2 classifier, class_weights\n"
    assert capsys.readouterr().out.count(loaded) == 1
    trained = build.load_model(folder)
    for part in ("trunk", "last_block"):
        for name, value in values(earlier, part).items():
            if "moving" not in name:
                np.testing.assert_allclose(values(trained, part)[name], value, rtol=0, atol=1e-25)
    source.unlink()
    assert run(*command) == (0, "")  # finished
    for path in (folder.metrics_file, folder.model_file):
        path.unlink()
    assert run(*command) == (0, "")  # goes on after its last checkpoint
    assert "init_from" not in capsys.readouterr().out and folder.model_file.is_file()
    before = digest(folder.path)
    for arguments in (["--overwrite"], [f"--model_dir={tmp_path / 'new'}"]):
        status, message = run(*command, *arguments)
        assert status == 1 and message.startswith(f"error: --init_from={source}: must be the folder of")
    assert digest(folder.path) == before and not (tmp_path / "new").exists()
    folder.metrics_file.unlink()
    for _, path in folder.checkpoint_files():
        path.write_bytes(b"")
    status, message = run(*command)  # from the first epoch again, so not without it
    assert status == 1 and message.endswith(f"{source} is no such file")
