"""What holds for every functional network, on a small one of the user's own."""

import json

import keras
import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.models import backbones, keras_networks
from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.layers import Mixup
from bbn_tf.models.plain import build_plain

SHAPE = (16, 16, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, *SHAPE)).astype("float32")


def own_model(batch_norm=True):
    """A stem without a name and two residual blocks whose sum belongs to no layer."""
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    for name in ("first", "last"):
        y = keras.layers.Conv2D(4, 3, padding="same", name=f"{name}_conv")(x)
        if batch_norm:
            y = keras.layers.BatchNormalization(momentum=0.99, name=f"{name}_bn")(y)
        x = x + keras.layers.ReLU(name=f"{name}_relu")(y)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))
    for variable in model.weights:
        variable.assign(RNG.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(autouse=True)
def registered():
    """Takes back what a test registers."""
    before = set(backbones.BACKBONES)
    yield
    for name in set(backbones.BACKBONES) - before:
        del backbones.BACKBONES[name]


@pytest.fixture
def own():
    model = own_model()
    backbones.register("own", model, "last_conv", mean=(0.1, 0.2, 0.3), std=(1, 2, 3))
    return model


def test_trunk_and_branches_start_from_its_weights(own):
    model = build_bbn("own", SHAPE, 10)
    expected = own.predict(IMAGES[0], verbose=0)
    for features in model.branch_features(IMAGES[0]):
        np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert (backbones.BACKBONES["own"].mean, backbones.BACKBONES["own"].std) == ((0.1, 0.2, 0.3), (1, 2, 3))
    model.get_layer("trunk").set_weights([0 * w for w in model.get_layer("trunk").get_weights()])
    np.testing.assert_array_equal(own.predict(IMAGES[0], verbose=0), expected)  # shares nothing with ours


def test_saved_and_loaded(own, tmp_path):
    model = build_bbn("own", SHAPE, 10)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(tuple(IMAGES)), model(tuple(IMAGES)))


def test_layers_without_a_name_are_numbered_from_zero_in_every_build(own):
    for _ in range(2):
        trunk = build_plain("own", SHAPE, 10).get_layer("trunk")
        assert [layer.name for layer in trunk.layers if layer.weights] == ["conv2d", "first_conv", "first_bn"]


def test_another_place_to_cut(own):
    network = backbones.made("own").variant(cut_layer="first_conv")
    trunk, (block,) = network.parts(SHAPE, ["last_block"])
    assert [layer.name for layer in trunk.layers if layer.weights] == ["conv2d"]
    np.testing.assert_allclose(block(trunk(IMAGES[0])), own(IMAGES[0]), rtol=1e-5)


@pytest.mark.parametrize(
    ("cut_layer", "message"),
    [
        ("last_con", r"--cut_layer=last_con: is no layer of own \(similar: last_conv, .*\); must be the first layer"),
        ("last_relu", "--cut_layer=last_relu: the input of this layer does not split own in two"),  # beside the sum
        ("pool", "--cut_layer=pool: the input of this layer does not split own in two parts with weights"),
        ("conv2d_first", "--cut_layer=conv2d_first: is no layer"),
    ],
)
def test_places_that_do_not_cut(own, cut_layer, message):
    with pytest.raises(UserError, match=message):
        backbones.made("own").variant(cut_layer=cut_layer).check(SHAPE)


@pytest.mark.parametrize(("pretrained", "momentum"), [(False, 0.9), (True, 0.999)])
def test_momentum(pretrained, momentum):
    """Of random weights 0.9, of pretrained ones MobileNetV3's own."""
    network = backbones.made("keras:MobileNetV3Small")
    network = network.pretrained() if pretrained else network
    trunk, _ = network.parts((32, 32, 3), [])
    norms = [layer for layer in trunk.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 1 + 2 + 9 * 3  # the stem's, a block without an expansion, nine with one
    assert {layer.momentum for layer in norms} == {momentum}


def test_a_network_of_the_users_own_keeps_its_momentum(own):
    trunk = build_plain("own", SHAPE, 10).get_layer("trunk")
    assert trunk.get_layer("first_bn").momentum == 0.99


def test_random_branches_are_drawn_apart():
    network = backbones.made("keras:MobileNetV3Small")
    _, (one, two) = network.parts((32, 32, 3), ["one", "two"])
    kernels = [keras.ops.convert_to_numpy(block.get_layer("conv_1").kernel) for block in (one, two)]
    assert kernels[0].std() == pytest.approx(kernels[1].std(), rel=0.1) and (kernels[0] != kernels[1]).any()


def test_mixed_precision(own):
    model = build_bbn("own", SHAPE, 10, dtype="mixed_bfloat16")
    trunk = model.get_layer("trunk")
    assert trunk(IMAGES[0]).dtype == "bfloat16" and trunk.get_layer("first_conv").kernel.dtype == "float32"
    assert model(tuple(IMAGES)).dtype == "float32"


def test_mixup_of_images(own):
    """The only place is before the network: 0.25 x + 0.75 of the neighbour, then what the network does."""
    model = build_plain("own", SHAPE, 10, mixup=True)
    (layer,) = model.mixup_layers
    assert isinstance(layer, Mixup)
    layer.share.assign(0.25)
    mixed = 0.25 * IMAGES[0] + 0.75 * IMAGES[0][[1, 0, 3, 2]]
    trunk = model.get_layer("trunk")
    statistics = trunk.get_layer("first_bn")
    statistics.trainable = False  # as in inference, so that both calls do the same
    np.testing.assert_allclose(trunk(IMAGES[0], training=True), trunk(mixed), rtol=1e-4)


def test_synchronized_batch_norm(own):
    trunk = build_plain("own", SHAPE, 10, synchronized=True).get_layer("trunk")
    assert trunk.get_layer("first_bn").synchronized
    backbones.register("bare", own_model(batch_norm=False), "last_conv", (0, 0, 0), (1, 1, 1))
    for name in ("bare", "keras:ConvNeXtTiny"):
        with pytest.raises(UserError, match=f"--sync_batch_norm=True: there is no BatchNorm in --backbone={name}"):
            Config(backbone=name, sync_batch_norm=True)
    Config(backbone="own", sync_batch_norm=True)


def test_adapted_normalisation_is_kept():
    """A `Normalization` layer does not see what is assigned to it until it is told."""
    inputs = keras.Input(SHAPE)
    normalization = keras.layers.Normalization()
    x = keras.layers.Conv2D(2, 3, name="stem")(normalization(inputs))
    x = keras.layers.Conv2D(2, 3, name="last")(x)
    normalization.adapt(10 + 5 * IMAGES[0])
    own = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    backbones.register("adapted", own, "last", (0, 0, 0), (1, 1, 1))
    features = build_bbn("adapted", SHAPE, 10).branch_features(IMAGES[1])[0]
    np.testing.assert_allclose(features, own(IMAGES[1]), rtol=1e-5, atol=1e-6)


def test_what_is_no_backbone():
    pooled = own_model()
    maps = keras.Model(pooled.input, pooled.get_layer("last_relu").output)
    with pytest.raises(UserError, match=r"backbone maps: its output has the shape \[None, 16, 16, 4\]"):
        backbones.register("maps", maps, "last_conv", (0, 0, 0), (1, 1, 1))
    with pytest.raises(UserError, match="backbone layer: must be a functional keras.Model"):
        backbones.register("layer", keras.layers.Dense(2), "last_conv", (0, 0, 0), (1, 1, 1))
    with pytest.raises(UserError, match="--cut_layer=nowhere: is no layer of pooled"):
        backbones.register("pooled", pooled, "nowhere", (0, 0, 0), (1, 1, 1))
    assert not {"maps", "layer", "pooled"} & set(backbones.BACKBONES)


def test_mean_and_std_are_three_floats_each_as_json_takes_them():
    backbones.register("own", own_model(), "last_conv", np.float32([0, 0.5, 1]), [1, 2, np.float64(3)])
    row = backbones.BACKBONES["own"]
    assert json.dumps([row.mean, row.std]) == "[[0.0, 0.5, 1.0], [1.0, 2.0, 3.0]]"
    backbones.register("own", own_model(), "last_conv", (0, 0, 0), (1, 1, 1))  # your own may be replaced


@pytest.mark.parametrize(
    ("name", "mean", "std", "message"),
    [
        ("resnet8", (0, 0, 0), (1, 1, 1), "name='resnet8': is a network of the table"),
        (None, (0, 0, 0), (1, 1, 1), "name=None: must be a text"),
        ("mine", 0.5, (1, 1, 1), "mean=0.5: must be three numbers, of red, green and blue"),
        ("mine", (0, 0), (1, 1, 1), r"mean=\(0, 0\): must be three numbers"),
        ("mine", (0, 0, "a"), (1, 1, 1), r"mean=\(0, 0, 'a'\): must be three numbers"),
        ("mine", (0, 0, 0), (1, 1, float("nan")), r"std=\(1, 1, nan\): must be three numbers"),
        ("mine", (0, 0, 0), (1, 1, 0), r"std=\(1.0, 1.0, 0.0\): must be above 0"),
    ],
)
def test_a_name_that_is_taken_and_wrong_statistics(name, mean, std, message):
    before = dict(backbones.BACKBONES)
    with pytest.raises(UserError, match=f"^{message}"):
        backbones.register(name, None, "last_conv", mean, std)
    assert before == dict(backbones.BACKBONES)


def test_small_images(own):
    with pytest.raises(UserError, match="keras:Xception: takes images of at least 71 x 71 pixels, .* have 32 x 70"):
        backbones.made("keras:Xception").check((32, 70, 3))
    with pytest.raises(UserError, match=r"--backbone=own: takes images of the shape \[16, 16, 3\], the data's \[32"):
        backbones.made("own").check((32, 32, 3))


def test_names_that_layers_share_are_numbered():
    layer = keras.layers.Bidirectional(keras.layers.LSTM(2))
    layer.build((None, 3, 4))
    names = [name for name, _ in keras_networks.named_weights(layer)]
    assert names == ["kernel", "recurrent_kernel", "bias", "kernel_2", "recurrent_kernel_2", "bias_2"]
