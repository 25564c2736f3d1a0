"""The ResNets for larger images: counted by hand, and against the definition in NumPy."""

import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.errors import UserError
from bbn_tf.models import backbones, grouped
from bbn_tf.models.bbn import BRANCHES, build_bbn
from bbn_tf.models.plain import build_plain
from tests import numpy_resnet

RESNETS = {name: row() for name, row in backbones.BACKBONES.items() if name.startswith("resne")}
LARGE = [name for name, family in RESNETS.items() if family.large_images]


def test_names():
    depths = (8, 14, 20, 32, 44, 56, 10, 18, 50, 101, 152)
    assert list(RESNETS) == [*(f"resnet{depth}" for depth in depths), "resnext50_32x4d"]
    assert LARGE == ["resnet10", "resnet18", "resnet50", "resnet101", "resnet152", "resnext50_32x4d"]
    for name in LARGE:  # the stem, the convolutions of the blocks and the classifier
        family = backbones.BACKBONES[name]()
        assert 2 + len(family.block) * sum(family.blocks_per_stage) == int(re.search(r"\d+", name)[0])


# torchvision's numbers; ResNet-10, which it lacks, is ResNet-18 without each stage's second block, of two 3x3
# convolutions and two BatchNorms: 2 (9 w^2 + 2 w) for w = 64, 128, 256, 512, together 6,270,720.
PLAIN = {
    "resnet10": 11_689_512 - 6_270_720,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
}


@pytest.mark.parametrize("name", ["resnet10", "resnet18", "resnet50", "resnext50_32x4d"])
def test_parameters_of_the_plain_network(name):
    assert parameters(build_plain(name, (64, 64, 3), 1000)) == PLAIN[name]


@pytest.mark.parametrize("name", ["resnet101", "resnet152"])
def test_parameters_of_the_deepest(name):
    """ResNet-50's and those of the blocks they have more, w width: 4w x w + 9 w^2 + w x 4w + 2 (w + w + 4w)."""
    deep, family = backbones.BACKBONES[name](), backbones.BACKBONES["resnet50"]()
    assert dataclasses.replace(deep, blocks_per_stage=family.blocks_per_stage) == family
    more = np.subtract(deep.blocks_per_stage, family.blocks_per_stage)
    widths = np.array([64, 128, 256, 512])
    assert PLAIN["resnet50"] + more @ (17 * widths**2 + 12 * widths) == PLAIN[name]


@pytest.mark.parametrize(
    ("name", "block", "width"),
    [
        # 1x1, 3x3, 1x1 and their BatchNorms: 2048 x 512 + 9 x 512^2 + 512 x 2048 + 2 (512 + 512 + 2048)
        ("resnet50", 4_462_592, 2048),
        # in 32 groups of 32 channels: 2048 x 1024 + 9 x 32 x 1024 + 1024 x 2048 + 2 (1024 + 1024 + 2048)
        ("resnext50_32x4d", 4_497_408, 2048),
        # it begins the stage here: 9 x 256 x 512 + 9 x 512^2 + a shortcut of 256 x 512 + three BatchNorms of 512
        ("resnet10", 3_673_088, 512),
    ],
)
def test_parameters_of_bbn(name, block, width):
    """One block more than the plain network, and a classifier over twice the width."""
    plain_classifier, classifier = width * 1000 + 1000, 2 * width * 1000 + 1000
    model = build_bbn(name, (64, 64, 3), 1000)
    assert parameters(model) == PLAIN[name] - plain_classifier + block + classifier
    for branch in BRANCHES:
        assert parameters(model.get_layer(branch)) == block
    if name == "resnet50":
        assert parameters(model) == 32_067_624


def parameters(model):
    return sum(np.prod(w.shape) for w in model.trainable_weights)


def state_dict(model, blocks):
    """The weights of a plain model with `blocks` in each stage, by torchvision's names and in PyTorch's layout."""
    kinds = {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    places = {f"stage{s + 1}_block{b + 1}": f"layer{s + 1}.{b}." for s in range(4) for b in range(blocks[s])}
    places |= {"block": f"layer4.{blocks[3] - 1}.", "": ""}
    units = {"stem_conv": "conv1", "stem_bn": "bn1", "shortcut_conv": "downsample.0", "shortcut_bn": "downsample.1"}
    state = {}
    for layer in model.get_layer("trunk").layers + model.get_layer("last_block").layers:
        for weight in layer.weights:
            place, unit = re.fullmatch(r"(?:(.*)_)?([^_]+_[^_]+)", layer.name).groups(default="")
            module = units.get(unit, "".join(reversed(unit.split("_"))))  # "3_conv" -> "conv3"
            value = keras.ops.convert_to_numpy(weight)
            value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
            state[f"{places[place]}{module}.{kinds[weight.name]}"] = value
    return state


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("resnet10", (40, 57)),
        ("resnet18", (64, 33)),
        ("resnet50", (33, 33)),
        ("resnet10", (1, 2)),
        ("resnext50_32x4d", (33, 40)),
    ],
)
def test_inference_is_the_definition(name, size):
    """Random weights and BatchNorm statistics; odd and even sizes, where padding only on one side would show."""
    rng = np.random.default_rng(1)
    model = build_plain(name, (*size, 3), 5)
    for part in ("trunk", "last_block"):
        for layer in model.get_layer(part).layers:
            if layer.name.endswith("_bn"):
                gamma, beta, mean, variance = layer.weights
                for weight in (gamma, variance):
                    weight.assign(rng.uniform(0.5, 1.5, weight.shape))
                for weight in (beta, mean):
                    weight.assign(rng.normal(0, 0.3, weight.shape))
    images = rng.normal(size=(2, *size, 3)).astype("float32")
    features = model.get_layer("last_block")(model.get_layer("trunk")(images))
    features = keras.ops.convert_to_numpy(features)
    state = state_dict(model, numpy_resnet.BLOCKS[name])
    assert set(state) == set(numpy_resnet.random_state_dict(name))
    expected = numpy_resnet.features(state, images)
    assert np.abs(expected).max() > 0.1
    assert np.linalg.norm(features - expected) / np.linalg.norm(expected) < 1e-4
    classifier = model.get_layer("classifier")
    logits = expected @ keras.ops.convert_to_numpy(classifier.kernel) + keras.ops.convert_to_numpy(classifier.bias)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(images)), logits, rtol=1e-3, atol=1e-4 * logits.max())


def test_initial_weights_are_torchvisions():
    """Kaiming normal by fan_out: of the 7x7 stem, a projection and a 3x3 convolution."""
    trunk = backbones.BACKBONES["resnet10"]().trunk((32, 32, 3))
    for layer, fan_out in (("stem", 49 * 64), ("stage2_block1_shortcut", 128), ("stage3_block1_1", 9 * 256)):
        kernel = keras.ops.convert_to_numpy(trunk.get_layer(f"{layer}_conv").kernel)
        assert kernel.std() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)


def test_initial_weights_of_grouped_convolutions():
    """PyTorch's fan_out counts all output channels, not those of a group: 9 x 128."""
    trunk = backbones.BACKBONES["resnext50_32x4d"]().trunk((32, 32, 3))
    kernel = keras.ops.convert_to_numpy(trunk.get_layer("stage1_block1_2_conv").kernel)
    assert kernel.shape == (3, 3, 4, 128) and kernel.std() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.03)


def test_grouped_convolutions_without_onednn_cost_one_line(monkeypatch):
    """TensorFlow's own words on a CPU without oneDNN, from which a process can't switch back and forth."""
    grouped.check_trainable("resnext50_32x4d")  # here there is oneDNN

    def refuse(*args):
        raise tf.errors.InvalidArgumentError(None, None, "Gradients for grouped convolutions are not supported on CPU")

    monkeypatch.setattr(tf.GradientTape, "gradient", refuse)
    with pytest.raises(
        UserError, match="--backbone=resnext50_32x4d: TensorFlow can't train .* without oneDNN"
    ) as error:
        grouped.check_trainable("resnext50_32x4d")
    assert "\n" not in str(error.value)


def test_mixup_stands_before_the_network_and_behind_the_first_two_stages():
    model = build_plain("resnet18", (64, 64, 3), 3, mixup=True)
    shapes = [(layer.name, layer.output.shape[1:]) for layer in model.mixup_layers]
    assert shapes == [("mixup_0", (64, 64, 3)), ("mixup_1", (16, 16, 64)), ("mixup_2", (8, 8, 128))]
    names = [layer.name for layer in model.get_layer("trunk").layers]
    assert [name for name in names if name.startswith("mixup") or name.endswith("add")] == [
        "mixup_0",
        "stage1_block1_add",
        "stage1_block2_add",
        "mixup_1",
        "stage2_block1_add",
        "stage2_block2_add",
        "mixup_2",
        "stage3_block1_add",
        "stage3_block2_add",
        "stage4_block1_add",
    ]


def test_saved_model_loads_alike(tmp_path):
    model = build_bbn("resnet10", (32, 32, 3), 3)
    images = np.random.default_rng(0).normal(size=(2, 4, 32, 32, 3)).astype("float32")
    model(tuple(images), training=True)  # moves BatchNorm's statistics
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(tuple(images)), model(tuple(images)))
