"""Where each network of `keras.applications` is cut, and how its input is standardised: rows of `BACKBONES`."""

from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD, Choice, Setting, not_empty

IMAGENET = "imagenet"  # --init_from: the weights that Keras publishes
HALF = (0.5, 0.5, 0.5)
CAFFE_MEAN = tuple(value / 255 for value in (123.68, 116.779, 103.939))  # red, green, blue
CAFFE_STD = (1 / 255,) * 3
EFFICIENTNET_V2 = (128 / 255,) * 3  # S, M and L: mean and standard deviation
CUT_LAYER = Setting(
    "cut_layer",
    None,
    "First layer of the last block, at whose input trunk and branches are cut (if not given, where its block begins).",
    kind=str,
    rule=not_empty,
)
# Their own standardisation is left out: the row's `mean` and `std` do it.
PLAIN_INPUT = {"include_preprocessing": False}


def _row(name, last_block, mean=IMAGENET_MEAN, std=IMAGENET_STD, no_batch_norm=False, **arguments):
    """(name, row) of a network; see `keras_networks.application` for the arguments.

    Traits: `mean`, `std`, per channel, of images scaled to [0, 1], which replace the data set's; `published`, weights
    can be downloaded; `undivided`, mixup has no place in the trunk; `no_batch_norm`.
    """
    row = Choice(
        "bbn_tf.models.keras_networks:application",
        CUT_LAYER,
        arguments={"name": name, "last_block": last_block, **arguments},
        mean=mean,
        std=std,
        published=True,
        undivided=True,
        no_batch_norm=no_batch_norm,
    )
    return f"keras:{name}", row


def _resnets():
    for depth in (50, 101, 152):
        yield _row(f"ResNet{depth}", "conv5_block3_1_conv", CAFFE_MEAN, CAFFE_STD, reversed_channels="conv1_conv")
        yield _row(f"ResNet{depth}V2", "conv5_block3_preact_bn", HALF, HALF)


def _efficientnets():
    for size, block in enumerate(("7a", "7b", "7b", "7b", "7b", "7c", "7c", "7d")):
        yield _row(f"EfficientNetB{size}", f"block{block}_expand_conv", first_layer="stem_conv_pad")
    for size, block in {"B0": "6h", "B1": "6i", "B2": "6j", "B3": "6l"}.items():
        yield _row(f"EfficientNetV2{size}", f"block{block}_expand_conv", options=PLAIN_INPUT)
    for size, block in {"S": "6o", "M": "7e", "L": "7g"}.items():
        cut = f"block{block}_expand_conv"
        yield _row(f"EfficientNetV2{size}", cut, EFFICIENTNET_V2, EFFICIENTNET_V2, options=PLAIN_INPUT)


def _mobilenets():
    yield _row("MobileNet", "conv_dw_13", HALF, HALF)
    yield _row("MobileNetV2", "block_16_expand", HALF, HALF)
    yield _row("MobileNetV3Small", "expanded_conv_10_expand", HALF, HALF, options=PLAIN_INPUT)
    yield _row("MobileNetV3Large", "expanded_conv_14_expand", HALF, HALF, options=PLAIN_INPUT)


def _others():
    for size in ("Tiny", "Small", "Base", "Large", "XLarge"):
        cut = f"convnext_{size.lower()}_stage_3_block_2_depthwise_conv"
        yield _row(f"ConvNeXt{size}", cut, no_batch_norm=True, options=PLAIN_INPUT)
    for depth in (121, 169, 201):
        yield _row(f"DenseNet{depth}", "conv5_block1_0_bn")
    yield _row("Xception", "block14_sepconv1", HALF, HALF, smallest_side=71)


NETWORKS = dict(row for rows in (_resnets, _efficientnets, _mobilenets, _others) for row in rows())
