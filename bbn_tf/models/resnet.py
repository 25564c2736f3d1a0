"""Residual trunks and their last block, as functional Keras models (He et al., arXiv:1512.03385).

There are two families: for CIFAR's 32x32 images a 3x3 stem and three stages, for larger ones a stem of stride 4 and
four stages, as torchvision and the authors' code have it.
"""

import dataclasses
import itertools

import keras

from bbn_tf.models.layers import BatchNorm, Mixup, ShortcutA, Trunk

# (kernel size, width over the stage's) of a residual block's convolutions; the first of 3x3 has the block's stride.
BASIC = ((3, 1), (3, 1))
BOTTLENECK = ((1, 1), (3, 1), (1, 4))
RESNEXT_BOTTLENECK = ((1, 2), (3, 2), (1, 4))  # torchvision's 32x4d: 4 channels in each of 32 groups, at a width of 64


@dataclasses.dataclass(frozen=True)
class ResNet:
    """Stages of residual blocks behind a stem; every stage but the first has stride 2 in its first block.

    Attributes:
        blocks_per_stage: how many blocks each stage has.
        bottleneck: whether a block is `BOTTLENECK`, not `BASIC`.
        groups: of channels that the 3x3 convolutions of bottlenecks keep apart; above 1 the block is
            `RESNEXT_BOTTLENECK` (ResNeXt, arXiv:1611.05431).
        widths: each stage's width.
        large_images: the stem is a 7x7 convolution and a 3x3 maximum, both of stride 2, instead of a 3x3 convolution.
        projection: where the shape changes the shortcut is a 1x1 convolution instead of shortcut A.
        fan: by which the convolutions' initial weights are scaled (Kaiming normal).
    """

    blocks_per_stage: tuple[int, ...]
    bottleneck: bool = False
    groups: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512)
    large_images: bool = True
    projection: bool = True
    fan: str = "fan_out"

    @property
    def block(self):
        if not self.bottleneck:
            return BASIC
        return RESNEXT_BOTTLENECK if self.groups > 1 else BOTTLENECK

    def check(self, input_shape):
        """Images of every size will do."""

    def parts(self, input_shape, block_names, mixup=False, **layer_options):
        """(trunk, list of a last block for each name); see `trunk` and `last_block`."""
        trunk = self.trunk(input_shape, mixup=mixup, **layer_options)
        return trunk, [self.last_block(trunk.output_shape[1:], name, **layer_options) for name in block_names]

    def trunk(self, input_shape, mixup=False, **layer_options):
        """Model [B, H, W, 3] -> [B, H', W', D], all but the last block.

        Args:
            input_shape: (H, W, 3).
            mixup: whether to put a `Mixup` layer before the network and behind the first two stages, the
                places of manifold mixup (arXiv:1806.05236).
            **layer_options: `dtype` (policy of every layer) and `synchronized` (BatchNorm over all replicas).
        """

        def mix(x, place):
            return Mixup(name=f"mixup_{place}", dtype=layer_options.get("dtype"))(x) if mixup else x

        inputs = keras.Input(input_shape, name="image")
        x = self._stem(mix(inputs, 0), **layer_options)
        for (stage, block), (next_stage, _) in itertools.pairwise(self._blocks()):
            x = self._block(x, stage, block, f"stage{stage + 1}_block{block + 1}", **layer_options)
            if stage < next_stage <= 2:
                x = mix(x, next_stage)
        return Trunk(inputs, x, name="trunk")

    def last_block(self, input_shape, name, **layer_options):
        """Model [B, H', W', D'] -> [B, D]: the last block and global average pooling."""
        inputs = keras.Input(input_shape, name="feature_map")
        x = self._block(inputs, *self._blocks()[-1], "block", **layer_options)
        x = keras.layers.GlobalAveragePooling2D(name="pool", dtype=layer_options.get("dtype"))(x)
        return keras.Model(inputs, x, name=name)

    def _blocks(self):
        return [(stage, block) for stage, count in enumerate(self.blocks_per_stage) for block in range(count)]

    def _stem(self, x, **layer_options):
        dtype = layer_options.get("dtype")
        size, stride = (7, 2) if self.large_images else (3, 1)
        x = self._conv_bn(x, size, self.widths[0], stride, "stem", **layer_options)
        x = keras.layers.ReLU(name="stem_relu", dtype=dtype)(x)
        if self.large_images:
            x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad", dtype=dtype)(x)  # nothing is below 0 here
            x = keras.layers.MaxPooling2D(3, 2, name="stem_pool", dtype=dtype)(x)
        return x

    def _block(self, x, stage, block, name, **layer_options):
        dtype = layer_options.get("dtype")
        stride = 2 if stage > 0 and block == 0 else 1
        shortcut = self._shortcut(x, self.widths[stage] * self.block[-1][1], stride, name, **layer_options)
        strided = [size for size, _ in self.block].index(3)
        for place, (size, expansion) in enumerate(self.block):
            if place:
                x = keras.layers.ReLU(name=f"{name}_{place}_relu", dtype=dtype)(x)
            step, groups = (stride if place == strided else 1), (self.groups if size == 3 else 1)
            filters = self.widths[stage] * expansion
            x = self._conv_bn(x, size, filters, step, f"{name}_{place + 1}", groups, **layer_options)
        x = keras.layers.Add(name=f"{name}_add", dtype=dtype)([x, shortcut])
        return keras.layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)

    def _shortcut(self, x, filters, stride, name, **layer_options):
        if stride == 1 and x.shape[-1] == filters:
            return x
        if self.projection:
            return self._conv_bn(x, 1, filters, stride, f"{name}_shortcut", **layer_options)
        return ShortcutA(filters, stride, name=f"{name}_shortcut", dtype=layer_options.get("dtype"))(x)

    def _conv_bn(self, x, size, filters, stride, name, groups=1, dtype=None, synchronized=False):
        """Convolution with (size - 1) / 2 pixels of padding on every side, without bias, then BatchNorm."""
        if stride > 1 and size > 1:  # "same" would pad more on the bottom and right here
            x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad", dtype=dtype)(x)
        kaiming_normal = keras.initializers.VarianceScaling(2.0, self.fan, "untruncated_normal")
        options = {"groups": groups, "use_bias": False, "kernel_initializer": kaiming_normal}
        padding = "same" if stride == 1 else "valid"
        x = keras.layers.Conv2D(filters, size, stride, padding, **options, name=f"{name}_conv", dtype=dtype)(x)
        return BatchNorm(synchronized=synchronized, name=f"{name}_bn", dtype=dtype)(x)
