"""The plain network: the same trunk with one last block, and a loss that weights images by class."""

import math

import keras
import numpy as np

from bbn_tf.models import backbones
from bbn_tf.models.layers import ClassWeights, CosineClassifier, Mixup, partners


@keras.saving.register_keras_serializable(package="bbn_tf")
class Plain(keras.Model):
    """Functional model image -> logits, whose loss weights the images by class. Made by `build_plain`."""

    @property
    def class_weights(self):
        """float32 [C], the loss's weight of each class."""
        return self.get_layer("class_weights").class_weights

    @property
    def mixup_layers(self):
        """The `Mixup` layers, from the input on; empty if there are none."""
        inner = [layer for part in self.layers for layer in getattr(part, "layers", [])]  # of the trunk
        return [layer for layer in inner if isinstance(layer, Mixup)]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        def loss(labels):
            return super(Plain, self).compute_loss(
                x, labels, y_pred, keras.ops.take(self.class_weights, labels), training
            )

        if not self.mixup_layers:
            return loss(y)
        share = math.prod(layer.share for layer in self.mixup_layers)  # all but one are 1
        return share * loss(y) + (1 - share) * loss(partners(y))

    def inference(self, alphas=None):
        """The model itself; see `BBN.inference`."""
        del alphas
        return self

    def classifier_kernels(self):
        """dict: `plain`, float [D, C] array; of cosines (LDAM's) what multiplies unit-length features."""
        classifier = self.get_layer("classifier")
        kernel = keras.ops.convert_to_numpy(classifier.kernel)
        if isinstance(classifier, CosineClassifier):
            kernel = classifier.scale * kernel / np.linalg.norm(kernel, axis=0)
        return {"plain": kernel}

    def linear_view(self, branch="both", keep=True):
        """See `BBN.linear_view`.

        Args:
            branch: unused, there is one.
            keep: whether kernel and bias are wanted; if not, LDAM's features are left as they are, not unit-length.
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
    """The same network with one branch: image float [B, H, W, 3] -> float32 logits [B, C].

    Args:
        backbone, input_shape, num_classes, **layer_options: as for `build_bbn`.
        cosine_scale: if given, the logits are cosines times this, as LDAM needs them, not a linear layer's.
        mixup: whether training mixes images and their feature maps; batches must then be even.

    Returns:
        `Plain`.
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
    """Dense layer [B, width] -> [B, num_classes], initialised as PyTorch's."""
    bound = width**-0.5
    uniform = [keras.initializers.RandomUniform(-bound, bound) for _ in range(2)]
    return keras.layers.Dense(num_classes, kernel_initializer=uniform[0], bias_initializer=uniform[1], **options)


def logits_dtype(dtype="float32", **_):
    """float32 also where the rest computes in half precision: the loss needs it."""
    return "float64" if dtype == "float64" else "float32"
