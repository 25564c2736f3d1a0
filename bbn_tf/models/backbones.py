"""The networks by name: what a trunk and a last block are made of.

A row makes a backbone: an object whose `parts(input_shape, names, ...)` are a trunk, which maps images to feature maps
and leaves out the last block, and a last block with global average pooling for each name; see
`bbn_tf.models.resnet.ResNet`.  BBN has one trunk and two last blocks, the plain network one of each.
"""

import math

from bbn_tf.choices import Choice, Table, imported, similar
from bbn_tf.errors import UserError
from bbn_tf.models.keras_table import CUT_LAYER, NETWORKS

_RESNET = "bbn_tf.models.resnet:ResNet"


def _for_cifar(n):
    """ResNet-(6n+2): 3 stages of n basic blocks behind a 3x3 convolution, for images of 32 pixels."""
    family = {"widths": (16, 32, 64), "large_images": False, "projection": False, "fan": "fan_in"}
    return Choice(_RESNET, arguments={"blocks_per_stage": (n, n, n), **family}, for_small_images=True)


def _for_photos(*blocks_per_stage, bottleneck, groups=1):
    """Four stages behind a stem of stride 4, as torchvision and the authors' code have it."""
    family = {"blocks_per_stage": blocks_per_stage, "bottleneck": bottleneck, "groups": groups}
    return Choice(_RESNET, arguments=family, grouped=groups > 1)


# Traits: `grouped`, it has grouped convolutions, which TensorFlow can't train everywhere; `for_small_images`;
# `trained`, it is one of the user's own, see `register`; and those in `keras_table`.
BACKBONES = Table(
    "backbone",
    {f"resnet{6 * n + 2}": _for_cifar(n) for n in (1, 2, 3, 5, 7, 9)},
    resnet10=_for_photos(1, 1, 1, 1, bottleneck=False),
    resnet18=_for_photos(2, 2, 2, 2, bottleneck=False),
    resnet50=_for_photos(3, 4, 6, 3, bottleneck=True),
    resnet101=_for_photos(3, 4, 23, 3, bottleneck=True),
    resnet152=_for_photos(3, 8, 36, 3, bottleneck=True),
    resnext50_32x4d=_for_photos(3, 4, 6, 3, bottleneck=True, groups=32),
    **NETWORKS,
)
BACKBONES.own = "; one of your own must be registered (bbn_tf.register_backbone) by the script that you start"


def made(backbone):
    """The backbone of a name of `BACKBONES`; anything else is one already.

    Raises:
        UserError: the name is unknown.
    """
    if not isinstance(backbone, str):
        return backbone
    if backbone not in BACKBONES:
        raise UserError(f"backbone={backbone}: unknown{similar(backbone, BACKBONES)}; bbn-tf --help lists all")
    return BACKBONES[backbone]()


def register(name, model, cut_layer, mean, std):
    """Makes a functional Keras model a backbone; see `bbn_tf.register_backbone`, which is its public name."""
    if not isinstance(name, str) or not name:
        raise UserError(f"name={name!r}: must be a text, as --backbone will name it")
    if name in BACKBONES and not BACKBONES[name].trained:
        raise UserError(f"name={name!r}: is a network of the table; must be another name")
    mean, std = _per_channel("mean", mean), _per_channel("std", std)
    if min(std) <= 0:
        raise UserError(f"std={std}: must be above 0")
    network = imported("bbn_tf.models.keras_networks:registered")(name, model, cut_layer)
    BACKBONES[name] = Choice(
        network.variant,
        CUT_LAYER,
        mean=mean,
        std=std,
        undivided=True,
        trained=True,
        no_batch_norm=not network.has_batch_norm(model),
    )


def _per_channel(argument, given):
    """Three numbers as a tuple of floats, which JSON takes."""
    try:
        values = tuple(float(value) for value in given)
    except (TypeError, ValueError):
        values = ()
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise UserError(f"{argument}={given!r}: must be three numbers, of red, green and blue")
    return values
