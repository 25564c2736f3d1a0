"""Every family of `keras.applications` as a BBN: its cut, its weights and one training step, on small images."""

import keras
import numpy as np
import pytest

from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD
from bbn_tf.data.readers import normalise
from bbn_tf.models import backbones, keras_weights
from bbn_tf.models.bbn import BRANCHES, build_bbn
from bbn_tf.models.keras_networks import named_weights

RNG = np.random.default_rng(0)
# The smallest member of each family -> (module of its preprocess_input, weights of the whole network and of its last
# block in thousands, channels at the cut and of the features).
FAMILIES = {
    "ResNet50": ("resnet", 23_588, 4_472, 2048, 2048),
    "ResNet50V2": ("resnet_v2", 23_565, 4_479, 2048, 2048),
    "EfficientNetB0": ("efficientnet", 4_050, 1_137, 192, 1280),
    "EfficientNetV2B0": ("efficientnet_v2", 5_919, 825, 192, 1280),
    "MobileNet": ("mobilenet", 3_229, 1_066, 1024, 1024),
    "MobileNetV2": ("mobilenet_v2", 2_258, 893, 160, 1280),
    "MobileNetV3Small": ("mobilenet_v3", 939, 354, 96, 576),
    "ConvNeXtTiny": ("convnext", 27_820, 4_765, 768, 768),
    "DenseNet121": ("densenet", 7_038, 2_190, 512, 1024),
    "Xception": ("xception", 20_861, 4_756, 1024, 2048),
}


def original(name):
    """The network as Keras builds it, with random statistics of BatchNorm and biases that are not 0."""
    side = backbones.made(f"keras:{name}").smallest_side
    base = getattr(keras.applications, name)(
        include_top=False, weights=None, pooling="avg", input_shape=(side, side, 3)
    )
    for variable in base.weights:
        if variable.name in ("moving_mean", "bias", "beta"):
            variable.assign(RNG.normal(scale=0.1, size=variable.shape))
        elif variable.name.startswith(("moving_variance", "variable")):  # the latter is ConvNeXt's scale of its blocks
            variable.assign(RNG.uniform(0.5, 2, variable.shape))
    for layer in base.layers:
        if name == "EfficientNetB0" and isinstance(layer, keras.layers.Normalization):
            set_statistics(layer, IMAGENET_STD)
    return base


def set_statistics(normalization, variance):
    for variable, values in zip(normalization.weights, (IMAGENET_MEAN, variance), strict=False):
        variable.assign(values)
    normalization.finalize_state()


def size(model):
    return round(sum(np.prod(v.shape) for v in model.weights) / 1000)


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name):
    module, whole, block, cut_channels, channels = FAMILIES[name]
    row = backbones.BACKBONES[f"keras:{name}"]
    network, base = row(), original(name)
    side = network.smallest_side
    model = build_bbn(f"keras:{name}", (side, side, 3), 10)
    trunk, *branches = (model.get_layer(part) for part in ("trunk", *BRANCHES))
    assert size(base) == whole and [size(branch) for branch in branches] == [block, block]
    assert (trunk.output.shape[-1], branches[0].output.shape[-1]) == (cut_channels, channels)

    arrays = keras_weights.arrays_of(network, base)
    assign(model, arrays)
    images = RNG.integers(0, 256, (2, side, side, 3)).astype("uint8")
    if name == "EfficientNetB0":  # weights="imagenet" builds a layer more, after which it divides by the deviation
        set_statistics(next(x for x in base.layers if "normalization" in x.name), np.square(IMAGENET_STD))
    preprocess = getattr(keras.applications, module).preprocess_input
    expected = keras.ops.convert_to_numpy(base(preprocess(images.astype("float32"))))
    assert expected.std() > 0
    for features in model.branch_features(normalise(images, row.mean, row.std)):
        np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())

    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(True), run_eagerly=True)
    streams = normalise(np.stack([images, images[::-1]]), row.mean, row.std)
    before = [layer.get_weights() for layer in (trunk, *branches)]
    model.alpha.assign(0.7)
    loss = model.train_on_batch(tuple(streams), (np.array([0, 1]), np.array([2, 3])))
    assert np.isfinite(loss).all()
    after = [layer.get_weights() for layer in (trunk, *branches)]
    for old, new in zip(before, after, strict=True):
        assert any((a != b).any() for a, b in zip(old, new, strict=True))
    assert any((a != b).any() for a, b in zip(*after[1:], strict=True))  # the branches share nothing


def assign(model, arrays):
    """Both branches get the last block's."""
    for part in ("trunk", *BRANCHES):
        source = part if part == "trunk" else "last_block"
        for layer in model.get_layer(part).layers:
            for variable_name, variable in named_weights(layer):
                variable.assign(arrays[f"{source}/{layer.name}/{variable_name}"])
