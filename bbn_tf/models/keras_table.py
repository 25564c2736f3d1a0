"""Where each network of `keras.applications` is cut, and how its input is standardised."""

from bbn_tf.models.keras_networks import HALF, IMAGENET_MEAN, IMAGENET_STD, KerasNetwork

CAFFE_MEAN = tuple(value / 255 for value in (123.68, 116.779, 103.939))  # red, green, blue
ONE = (1 / 255,) * 3
# EfficientNetV2's S, M and L divide by 128 instead.
CENTRED = (128 / 255,) * 3
# Their own standardisation is left out: `mean` and `std` do it.
PLAIN_INPUT = {"include_preprocessing": False}


def _row(name, cut_layer, mean=IMAGENET_MEAN, std=IMAGENET_STD, options=None, **others):
    """(name, row): the network of that name without its classifier, with global average pooling."""

    def build(input_shape, weights):
        import keras

        return getattr(keras.applications, name)(
            include_top=False, pooling="avg", input_shape=input_shape, weights=weights, **(options or {})
        )

    others = {"smallest_side": 32, **others}
    return name, KerasNetwork(f"keras:{name}", build, cut_layer, mean, std, **others)


def _resnets():
    for depth in (50, 101, 152):
        yield _row(f"ResNet{depth}", "conv5_block3_1_conv", CAFFE_MEAN, ONE, reversed_channels="conv1_conv")
        yield _row(f"ResNet{depth}V2", "conv5_block3_preact_bn", HALF, HALF)


def _efficientnets():
    for size, block in enumerate(("7a", "7b", "7b", "7b", "7b", "7c", "7c", "7d")):
        yield _row(f"EfficientNetB{size}", f"block{block}_expand_conv", first_layer="stem_conv_pad")
    for size, block in {"B0": "6h", "B1": "6i", "B2": "6j", "B3": "6l"}.items():
        yield _row(f"EfficientNetV2{size}", f"block{block}_expand_conv", options=PLAIN_INPUT)
    for size, block in {"S": "6o", "M": "7e", "L": "7g"}.items():
        yield _row(f"EfficientNetV2{size}", f"block{block}_expand_conv", CENTRED, CENTRED, PLAIN_INPUT)


def _mobilenets():
    yield _row("MobileNet", "conv_dw_13", HALF, HALF)
    yield _row("MobileNetV2", "block_16_expand", HALF, HALF)
    yield _row("MobileNetV3Small", "expanded_conv_10_expand", HALF, HALF, PLAIN_INPUT)
    yield _row("MobileNetV3Large", "expanded_conv_14_expand", HALF, HALF, PLAIN_INPUT)


def _others():
    for size in ("Tiny", "Small", "Base", "Large", "XLarge"):
        cut_layer = f"convnext_{size.lower()}_stage_3_block_2_depthwise_conv"
        yield _row(f"ConvNeXt{size}", cut_layer, options=PLAIN_INPUT)
    for depth in (121, 169, 201):
        yield _row(f"DenseNet{depth}", "conv5_block1_0_bn")
    yield _row("Xception", "block14_sepconv1", HALF, HALF, smallest_side=71)


NETWORKS = {f"keras:{name}": row for rows in (_resnets, _efficientnets, _mobilenets, _others) for name, row in rows()}
