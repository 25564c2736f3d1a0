"""Layers that Keras does not have: PyTorch's BatchNorm, shortcut A, classifiers, class weights and mixup."""

import keras
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

EVAL_ALPHA = 0.5  # section 4.4: both branches are equally important at inference


@keras.saving.register_keras_serializable(package="bbn_tf")
class BatchNorm(keras.layers.BatchNormalization):
    """Batch normalisation with PyTorch's defaults and running statistics.

    Keras averages the biased batch variance into its running variance, PyTorch the unbiased one.  On TensorFlow this
    layer uses the fused operation: it also gives the unbiased variance, and it needs several passes less than Keras.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)

    def call(self, inputs, training=None, mask=None):
        fused = keras.backend.backend() == "tensorflow" and inputs.dtype != "float64"
        if not (training and self.trainable):
            return self._fused(inputs, is_training=False)[0] if fused else super().call(inputs)
        if fused and not self.synchronized:
            outputs, mean, variance = self._fused(inputs, is_training=True)
        else:
            x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
            mean, variance = self._moments(x, None)
            outputs = ops.batch_normalization(x, mean, variance, self.axis, self.beta, self.gamma, self.epsilon)
            outputs = ops.cast(outputs, self.compute_dtype)
            count = ops.cast(ops.prod(ops.shape(x)) // x.shape[-1], variance.dtype)
            if self.synchronized:
                count = count * tf.distribute.get_strategy().num_replicas_in_sync
            variance = variance * count / (count - 1)
        self._average(self.moving_mean, mean)
        self._average(self.moving_variance, variance)
        return outputs

    def _fused(self, inputs, is_training):
        return tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            mean=None if is_training else tf.convert_to_tensor(self.moving_mean),
            variance=None if is_training else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=is_training,
        )

    def _average(self, moving, value):
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))


@keras.saving.register_keras_serializable(package="bbn_tf")
class Trunk(keras.Model):
    """Functional model images -> feature map. While it is not trainable, no gradient is computed in it."""

    def call(self, inputs, training=None, mask=None):
        feature_map = super().call(inputs, training=training, mask=mask)
        return feature_map if self.trainable else ops.stop_gradient(feature_map)


@keras.saving.register_keras_serializable(package="bbn_tf")
class ShortcutA(keras.layers.Layer):
    """He et al.'s shortcut A for blocks that add channels: keeps every stride-th pixel and adds channels of zeros.

    Half of the zeros come before the old channels, half after them.  [B, H, W, C] -> [B, H/s, W/s, filters].

    Args:
        filters: number of channels in the output.
        stride: s.
    """

    def __init__(self, filters, stride, **kwargs):
        super().__init__(**kwargs)
        self.filters, self.stride = filters, stride

    def call(self, inputs):
        extra = self.filters - inputs.shape[-1]
        pixels = inputs[:, :: self.stride, :: self.stride, :]
        return ops.pad(pixels, [[0, 0], [0, 0], [0, 0], [extra // 2, extra - extra // 2]])

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, "stride": self.stride}


@keras.saving.register_keras_serializable(package="bbn_tf")
class CumulativeClassifier(keras.layers.Layer):
    """Mixes the features of both branches and classifies them (Eq. 1 of arXiv:1912.02413).

        z = s * alpha * f_c W_c + s * (1 - alpha) * f_r W_r + b

    with s = `feature_scale`.  The published code has s = 2 and a bias b: it uses one linear layer on the concatenated
    features, which is the same formula.  The paper has s = 1 and no bias.

    `alpha` is a non-trainable scalar weight that a callback sets.  Only training uses it: inference uses alpha = 0.5,
    unless the call gives another value.

    Args:
        num_classes: C.
        feature_scale: s.
        use_bias: whether b exists.
    """

    def __init__(self, num_classes, feature_scale=2.0, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.feature_scale, self.use_bias = num_classes, feature_scale, use_bias

    def build(self, input_shape):
        width = input_shape[0][-1]
        # PyTorch's default for a linear layer on the concatenated features.
        bound = (2 * width) ** -0.5
        uniform = [keras.initializers.RandomUniform(-bound, bound) for _ in range(3)]
        shape = (width, self.num_classes)
        self.conventional_kernel = self.add_weight(shape, uniform[0], name="conventional_kernel")
        self.rebalancing_kernel = self.add_weight(shape, uniform[1], name="rebalancing_kernel")
        if self.use_bias:
            self.bias = self.add_weight((self.num_classes,), uniform[2], name="bias")
        self.alpha = self.add_weight((), "ones", dtype="float32", trainable=False, name="alpha", autocast=False)

    def call(self, features, alpha=None, training=False):
        """Computes logits [B, C] from a pair of features [B, D]; a given `alpha` (float) replaces the weight."""
        if alpha is None:
            alpha = self.alpha if training else EVAL_ALPHA
        conventional, rebalancing = (ops.cast(f, self.compute_dtype) for f in features)  # [B, D]
        weight = ops.cast(alpha, self.compute_dtype)
        logits = ops.matmul(self.feature_scale * weight * conventional, self.conventional_kernel)
        logits += ops.matmul(self.feature_scale * (1 - weight) * rebalancing, self.rebalancing_kernel)
        return logits + self.bias if self.use_bias else logits

    def get_config(self):
        own = ("num_classes", "feature_scale", "use_bias")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable(package="bbn_tf")
class CosineClassifier(keras.layers.Layer):
    """LDAM's classifier (arXiv:1906.07413): `scale` times the cosine of features and kernel. [B, D] -> [B, C]."""

    def __init__(self, num_classes, scale, **kwargs):
        super().__init__(**kwargs)
        self.num_classes, self.scale = num_classes, scale

    def build(self, input_shape):
        uniform = keras.initializers.RandomUniform(-1.0, 1.0)
        self.kernel = self.add_weight((input_shape[-1], self.num_classes), uniform, name="kernel")

    def call(self, features):
        kernel = ops.cast(self.kernel, self.compute_dtype)
        return self.scale * ops.matmul(ops.normalize(features, axis=-1), ops.normalize(kernel, axis=0))

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "scale": self.scale}


@keras.saving.register_keras_serializable(package="bbn_tf")
class ClassWeights(keras.layers.Layer):
    """Returns the logits [B, C] unchanged and stores the loss's class weights, float [C], for a callback to change.

    The class weights are a weight of the model, not an attribute of the loss, because compiled code reads weights again
    at every step, on every backend.
    """

    def build(self, input_shape):
        self.class_weights = self.add_weight(
            (input_shape[-1],), "ones", dtype="float32", trainable=False, name="class_weights", autocast=False
        )

    def call(self, logits):
        return logits


@keras.saving.register_keras_serializable(package="bbn_tf")
class LogitScales(keras.layers.Layer):
    """Multiplies the logit of each class by a learned factor, at first 1 (LWS, arXiv:1910.09217). [B, C] -> [B, C]."""

    def build(self, input_shape):
        self.scales = self.add_weight((input_shape[-1],), "ones", name="scales")

    def call(self, logits):
        return logits * self.scales


def partners(x):
    """Exchanges elements 2i and 2i + 1, so that each is replaced by its partner: [B, ...] -> [B, ...]; B is even.

    The order of images is random, so the neighbour is a random partner; and it is always on the same replica.
    """
    shape = ops.shape(x)
    pairs = ops.reshape(x, (-1, 2, *shape[1:]))
    return ops.reshape(ops.flip(pairs, axis=1), (-1, *shape[1:]))


@keras.saving.register_keras_serializable(package="bbn_tf")
class Mixup(keras.layers.Layer):
    """Mixes every image (or feature map) with its partner in training; does nothing in inference.

        x' = share * x + (1 - share) * partner(x)    (Eq. 1 of arXiv:1710.09412)

    `share` is a non-trainable scalar weight that a callback sets; with 1 nothing is mixed.  [B, ...] -> [B, ...].
    """

    def build(self, input_shape):
        self.share = self.add_weight((), "ones", dtype="float32", trainable=False, name="share", autocast=False)

    def call(self, inputs, training=False):
        if not training:
            return inputs
        share = ops.cast(self.share, inputs.dtype)
        return share * inputs + (1 - share) * partners(inputs)
