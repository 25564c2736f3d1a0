"""The plain network: one trunk, one last block, and a loss with class weights."""

import math

import keras
import numpy as np

from bbn_tf.models import backbones
from bbn_tf.models.layers import ClassWeights, CosineClassifier, LogitScales, Mixup, partners


@keras.saving.register_keras_serializable(package="bbn_tf")
class Plain(keras.Model):
    """Functional model image -> logits; its loss multiplies each image by its class weight.  See `build_plain`."""

    @property
    def class_weights(self):
        """Weight of each class in the loss, float32 [C] variable."""
        return self.get_layer("class_weights").class_weights

    @property
    def mixup_layers(self):
        """list of the `Mixup` layers, from input to output; empty without mixup."""
        inner = [layer for part in self.layers for layer in getattr(part, "layers", [])]  # the trunk's layers
        return [layer for layer in inner if isinstance(layer, Mixup)]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        def loss(labels):
            return super(Plain, self).compute_loss(
                x, labels, y_pred, keras.ops.take(self.class_weights, labels), training
            )

        if not self.mixup_layers:
            return loss(y)
        share = math.prod(layer.share for layer in self.mixup_layers)  # at most one share differs from 1
        return share * loss(y) + (1 - share) * loss(partners(y))

    def inference(self, alphas=None):
        """Returns this model, because it already maps one image to logits; `alphas` has no effect."""
        del alphas
        return self

    def classifier_kernels(self):
        """dict with the array `plain`, float [D, C], times learned scales of the logits (LWS) if there are some.

        LDAM's is normalised and scaled, for unit-length features.
        """
        classifier = self.get_layer("classifier")
        kernel = keras.ops.convert_to_numpy(classifier.kernel)
        if isinstance(classifier, CosineClassifier):
            kernel = classifier.scale * kernel / np.linalg.norm(kernel, axis=0)
        for layer in self.layers:
            if isinstance(layer, LogitScales):
                kernel = kernel * keras.ops.convert_to_numpy(layer.scales)
        return {"plain": kernel}

    def linear_view(self, branch="both", keep=True):
        """Splits the model into features and a linear classifier: logits = features @ kernel + bias.

        Args:
            branch: not used, because there is only one branch.
            keep: whether the caller uses kernel and bias; if not, LDAM's features are not scaled to unit length.

        Returns:
            (image, features [B, D] as Keras tensors; kernel float32 [D, C]; bias float32 [C]).
        """
        del branch
        classifier = self.get_layer("classifier")
        features, kernel = classifier.input, self.classifier_kernels()["plain"]
        if not isinstance(classifier, CosineClassifier):
            return self.input, features, kernel, keras.ops.convert_to_numpy(classifier.bias)
        if keep:
            features = keras.layers.UnitNormalization(name="unit", dtype="float32")(features)
        return self.input, features, kernel, np.zeros(kernel.shape[1], np.float32)


def build_plain(backbone, input_shape, num_classes, cosine_scale=None, mixup=False, **layer_options):
    """Makes the network with one branch.

    Args:
        backbone: name in `BACKBONES`.
        input_shape: (H, W, 3).
        num_classes: C.
        cosine_scale: float for LDAM: the logits are cosines times this number; None for a linear layer.
        mixup: whether training mixes images or feature maps; the batch size must then be even.
        **layer_options: see `ResNet.trunk`.

    Returns:
        `Plain` float [B, H, W, 3] -> float32 logits [B, C].
    """
    family = backbones.made(backbone)
    trunk, (block,) = family.parts(input_shape, ["last_block"], mixup=mixup, **layer_options)
    image = keras.Input(input_shape, name="image")
    features = block(trunk(image))
    options = {"name": "classifier", "dtype": logits_dtype(**layer_options)}
    if cosine_scale is not None:
        classifier = CosineClassifier(num_classes, cosine_scale, **options)
    else:
        classifier = linear_classifier(features.shape[-1], num_classes, **options)
    weighted = ClassWeights(name="class_weights", dtype=options["dtype"])
    return Plain(image, weighted(classifier(features)), name="plain")


def linear_classifier(width, num_classes, **options):
    """Makes a Dense layer [B, width] -> [B, num_classes] with PyTorch's initialisation."""
    bound = width**-0.5
    uniform = [keras.initializers.RandomUniform(-bound, bound) for _ in range(2)]
    return keras.layers.Dense(num_classes, kernel_initializer=uniform[0], bias_initializer=uniform[1], **options)


def logits_dtype(dtype="float32", **_):
    """float32, also if other layers use half precision, because the loss needs it; float64 stays float64."""
    return "float64" if dtype == "float64" else "float32"
