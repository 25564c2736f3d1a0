"""BBN, the plain single-branch classifier, and what of them is used for inference."""

import math

import keras
import numpy as np

from bbn_tf.models import backbones
from bbn_tf.models.layers import EVAL_ALPHA, ClassWeights, CosineClassifier, CumulativeClassifier, Mixup, partners

FEATURE_CONVENTIONS = {
    "published_code": {"feature_scale": 2.0, "use_bias": True},
    "paper": {"feature_scale": 1.0, "use_bias": False},
}

BRANCHES = ("conventional_block", "rebalancing_block")


@keras.saving.register_keras_serializable(package="bbn_tf")
class BBN(keras.Model):
    """Functional model (conventional image, re-balancing image) -> logits, trained with Eq. 3.

    The loss is alpha E(p, y_c) + (1 - alpha) E(p, y_r) when the labels are a pair (y_c, y_r), and the
    compiled loss itself when they are not.  Made by `build_bbn`.
    """

    def __init__(self, *args, **kwargs):  # this very signature, or a saved functional subclass won't load
        super().__init__(*args, **kwargs)
        # Metrics of their own, since a loss is scaled by the replicas on its way to the gradient.
        self._branch_losses = [
            keras.metrics.SparseCategoricalCrossentropy(name=f"{branch}_loss", from_logits=True)
            for branch in ("conventional", "rebalancing")
        ]

    @property
    def alpha(self):
        """Weight of the conventional branch in training; on TensorFlow `.value` is a tf.Variable."""
        return self.get_layer("classifier").alpha

    def call(self, inputs, training=None, mask=None):
        """The functional graph, in the published code's order: the conventional image passes the trunk first.

        Keras would run the graph from the last input to the first; BatchNorm's running statistics, which
        every pass updates, depend on the order.
        """
        features = []
        for image, block in zip(inputs, BRANCHES, strict=True):
            feature_map = self.get_layer("trunk")(image, training=training)
            features.append(self.get_layer(block)(feature_map, training=training))
        return self.get_layer("classifier")(tuple(features), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if not isinstance(y, (tuple, list)):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        losses = [super(BBN, self).compute_loss(x, label, y_pred, None, training) for label in y]
        return self.alpha * losses[0] + (1 - self.alpha) * losses[1]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Both parts of Eq. 3; compiled metrics want one label a prediction, so they see none in training."""
        if not isinstance(y, (tuple, list)):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        for metric, label in zip(self._branch_losses, y, strict=True):
            metric.update_state(label, y_pred)
        return self.get_metrics_result()


def build_bbn(backbone, input_shape, num_classes, feature_convention="published_code", **layer_options):
    """BBN with a shared trunk and two copies of the last residual block.

    Both images go through the trunk in two passes, the conventional one first, so that BatchNorm's batch
    statistics stay apart, as in the published code.

    Args:
        backbone: see `backbones.get`.
        input_shape: (H, W, 3).
        num_classes: C.
        feature_convention: a name of `FEATURE_CONVENTIONS`.
        **layer_options: see `ResNet.trunk`.

    Returns:
        `BBN` on (float [B, H, W, 3], float [B, H, W, 3]), output float32 logits [B, C].
    """
    family = backbones.get(backbone)
    trunk, (conventional, rebalancing) = family.parts(input_shape, BRANCHES, **layer_options)
    images = (
        keras.Input(input_shape, name="conventional_image"),
        keras.Input(input_shape, name="rebalancing_image"),
    )
    features = (conventional(trunk(images[0])), rebalancing(trunk(images[1])))
    options = FEATURE_CONVENTIONS[feature_convention]
    dtype = _logits_dtype(**layer_options)
    logits = CumulativeClassifier(num_classes, name="classifier", dtype=dtype, **options)(features)
    return BBN(images, logits, name="bbn")


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


def build_plain(backbone, input_shape, num_classes, cosine_scale=None, mixup=False, **layer_options):
    """The same network with one branch: image float [B, H, W, 3] -> float32 logits [B, C].

    Args:
        backbone, input_shape, num_classes, **layer_options: as for `build_bbn`.
        cosine_scale: if given, the logits are cosines times this, as LDAM needs them, not a linear layer's.
        mixup: whether training mixes images and their feature maps; batches must then be even.

    Returns:
        `Plain`.
    """
    family = backbones.get(backbone)
    trunk, (block,) = family.parts(input_shape, ["last_block"], mixup=mixup, **layer_options)
    image = keras.Input(input_shape, name="image")
    features = block(trunk(image))
    options = {"name": "classifier", "dtype": _logits_dtype(**layer_options)}
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


def _logits_dtype(dtype="float32", **_):
    """float32 also where the rest computes in half precision: the loss needs it."""
    return "float64" if dtype == "float64" else "float32"


def freeze_trunk(model):
    """Keeps the trunk of `BBN` or `Plain` as it is, the running statistics of its BatchNorm included.

    Before the model is compiled.  No gradient of the trunk is computed then: see `layers.Trunk`.
    """
    model.get_layer("trunk").trainable = False


def branch_features(model, image):
    """Features of one image in both branches, (float [B, D], float [B, D]); the trunk runs once."""
    feature_map = model.get_layer("trunk")(image)
    return tuple(model.get_layer(name)(feature_map) for name in BRANCHES)


def inference_model(model, alphas=None):
    """What of a trained model is used on new images: one image in, the trunk computed once.

    Args:
        model: `BBN` or the plain model, whose layers are shared, not copied.
        alphas: dict name -> alpha in [0, 1]; BBN only.

    Returns:
        Model float [B, H, W, 3] -> logits [B, C] (alpha = 0.5), or a dict of logits by `alphas`' names.
    """
    if not isinstance(model, BBN):
        return model
    image = keras.Input(model.input_shape[0][1:], name="image")
    features = branch_features(model, image)
    classifier = model.get_layer("classifier")
    if alphas is None:
        return keras.Model(image, classifier(features, alpha=EVAL_ALPHA), name="bbn_inference")
    conventional, rebalancing = (classifier(features, alpha=alpha) for alpha in (1.0, 0.0))
    # Eq. 1 is linear in alpha, so two products do for all.
    outputs = {name: alpha * conventional + (1 - alpha) * rebalancing for name, alpha in alphas.items()}
    return keras.Model(image, outputs, name="bbn_inference")


def classifier_kernels(model):
    """dict name -> float [D, C] array: `conventional` and `rebalancing` of BBN (W_c, W_r), `plain` of the other.

    Of cosines (LDAM's) what multiplies features of length 1.
    """
    classifier = model.get_layer("classifier")
    if isinstance(model, BBN):
        kernels = {"conventional": classifier.conventional_kernel, "rebalancing": classifier.rebalancing_kernel}
    else:
        kernels = {"plain": classifier.kernel}
    kernels = {name: keras.ops.convert_to_numpy(kernel) for name, kernel in kernels.items()}
    if isinstance(classifier, CosineClassifier):
        return {name: classifier.scale * w / np.linalg.norm(w, axis=0) for name, w in kernels.items()}
    return kernels
