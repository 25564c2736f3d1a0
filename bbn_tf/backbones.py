"""Residual trunks and their last block, as functional Keras models (He et al., arXiv:1512.03385).

A backbone is two functions: `trunk(...)` maps images to feature maps and leaves out the last residual
block, `last_block(...)` is that block with global average pooling.  BBN has one trunk and two last
blocks, the plain network one of each.
"""

import dataclasses
import itertools


@dataclasses.dataclass(frozen=True)
class CifarResNet:
    """ResNet-(6n+2) for 32x32 images: 3 stages of n basic blocks with 16, 32, 64 channels."""

    blocks_per_stage: int
    widths = (16, 32, 64)

    def trunk(self, input_shape, mixup=False, **layer_options):
        """Model [B, H, W, 3] -> [B, H', W', D], all but the last block.

        Args:
            input_shape: (H, W, 3).
            mixup: whether to put a `Mixup` layer before the network and behind the first two stages, the
                places of manifold mixup (arXiv:1806.05236).
            **layer_options: `dtype` (policy of every layer) and `synchronized` (BatchNorm over all replicas).
        """
        import keras

        from bbn_tf.layers import Mixup

        def mix(x, place):
            return Mixup(name=f"mixup_{place}", dtype=layer_options.get("dtype"))(x) if mixup else x

        inputs = keras.Input(input_shape, name="image")
        x = _conv_bn(mix(inputs, 0), self.widths[0], 1, "stem", **layer_options)
        x = keras.layers.ReLU(name="stem_relu", dtype=layer_options.get("dtype"))(x)
        for (stage, block), (next_stage, _) in itertools.pairwise(self._blocks()):
            x = _basic_block(x, self.widths[stage], self._stride(stage, block), f"stage{stage + 1}_block{block + 1}",
                             **layer_options)  # fmt: skip
            if next_stage > stage:
                x = mix(x, next_stage)
        return keras.Model(inputs, x, name="trunk")

    def last_block(self, input_shape, name, **layer_options):
        """Model [B, H', W', D'] -> [B, D]: the last block and global average pooling."""
        import keras

        inputs = keras.Input(input_shape, name="feature_map")
        stage, block = self._blocks()[-1]
        x = _basic_block(inputs, self.widths[stage], self._stride(stage, block), "block", **layer_options)
        x = keras.layers.GlobalAveragePooling2D(name="pool", dtype=layer_options.get("dtype"))(x)
        return keras.Model(inputs, x, name=name)

    def _blocks(self):
        return [(stage, block) for stage in range(3) for block in range(self.blocks_per_stage)]

    def _stride(self, stage, block):
        return 2 if stage > 0 and block == 0 else 1


BACKBONES = {f"resnet{6 * n + 2}": CifarResNet(n) for n in (1, 2, 3, 5, 7, 9)}


def _conv_bn(x, filters, stride, name, dtype=None, synchronized=False):
    """3x3 convolution with one pixel of padding on every side, without bias, then BatchNorm."""
    import keras

    from bbn_tf.layers import BatchNorm

    if stride > 1:  # "same" would pad only bottom and right here
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad", dtype=dtype)(x)
    kaiming_normal = keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
    x = keras.layers.Conv2D(filters, 3, stride, "same" if stride == 1 else "valid", use_bias=False,
                            kernel_initializer=kaiming_normal, name=f"{name}_conv", dtype=dtype)(x)  # fmt: skip
    return BatchNorm(synchronized=synchronized, name=f"{name}_bn", dtype=dtype)(x)


def _basic_block(x, filters, stride, name, **layer_options):
    import keras

    from bbn_tf.layers import ShortcutA

    dtype = layer_options.get("dtype")
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = ShortcutA(filters, stride, name=f"{name}_shortcut", dtype=dtype)(x)
    x = _conv_bn(x, filters, stride, f"{name}_1", **layer_options)
    x = keras.layers.ReLU(name=f"{name}_1_relu", dtype=dtype)(x)
    x = _conv_bn(x, filters, 1, f"{name}_2", **layer_options)
    x = keras.layers.Add(name=f"{name}_add", dtype=dtype)([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu", dtype=dtype)(x)
