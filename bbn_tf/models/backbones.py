"""The networks by name: what a trunk and a last block are made of.

A row makes a backbone: an object with `trunk(input_shape, ...)`, which maps images to feature maps and leaves out the
last residual block, and `last_block(input_shape, name, ...)`, that block with global average pooling; see
`bbn_tf.models.resnet.ResNet`.  BBN has one trunk and two last blocks, the plain network one of each.
"""

from bbn_tf.choices import Choice, Table

_RESNET = "bbn_tf.models.resnet:ResNet"


def _for_cifar(n):
    """ResNet-(6n+2): 3 stages of n basic blocks behind a 3x3 convolution, for images of 32 pixels."""
    family = {"widths": (16, 32, 64), "large_images": False, "projection": False, "fan": "fan_in"}
    return Choice(_RESNET, arguments={"blocks_per_stage": (n, n, n), **family})


def _for_photos(*blocks_per_stage, bottleneck, groups=1):
    """Four stages behind a stem of stride 4, as torchvision and the authors' code have it."""
    family = {"blocks_per_stage": blocks_per_stage, "bottleneck": bottleneck, "groups": groups}
    return Choice(_RESNET, arguments=family, grouped=groups > 1)


# Trait: `grouped`, it has grouped convolutions, which TensorFlow can't train everywhere.
BACKBONES = Table(
    "backbone",
    {f"resnet{6 * n + 2}": _for_cifar(n) for n in (1, 2, 3, 5, 7, 9)},
    resnet10=_for_photos(1, 1, 1, 1, bottleneck=False),
    resnet18=_for_photos(2, 2, 2, 2, bottleneck=False),
    resnet50=_for_photos(3, 4, 6, 3, bottleneck=True),
    resnet101=_for_photos(3, 4, 23, 3, bottleneck=True),
    resnet152=_for_photos(3, 8, 36, 3, bottleneck=True),
    resnext50_32x4d=_for_photos(3, 4, 6, 3, bottleneck=True, groups=32),
)
