"""BBN: one trunk, two last blocks, and a classifier that mixes both branches with weight alpha (arXiv:1912.02413)."""

import keras
import numpy as np

from bbn_tf.models import backbones
from bbn_tf.models.features import BRANCH_ALPHAS, FEATURE_CONVENTIONS
from bbn_tf.models.layers import EVAL_ALPHA, CumulativeClassifier
from bbn_tf.models.plain import logits_dtype

BRANCHES = ("conventional_block", "rebalancing_block")


@keras.saving.register_keras_serializable(package="bbn_tf")
class BBN(keras.Model):
    """Functional model (conventional image, re-balancing image) -> logits, trained with Eq. 3; see `build_bbn`.

    If the labels are a pair (y_c, y_r), the loss is alpha E(p, y_c) + (1 - alpha) E(p, y_r), where E is the compiled
    loss; otherwise the loss is the compiled loss.
    """

    def __init__(self, *args, **kwargs):  # Keras loads a functional subclass only with this signature
        super().__init__(*args, **kwargs)
        # Separate metrics, because Keras scales the losses by the number of replicas for the gradient.
        self._branch_losses = [
            keras.metrics.SparseCategoricalCrossentropy(name=f"{branch}_loss", from_logits=True)
            for branch in ("conventional", "rebalancing")
        ]

    @property
    def alpha(self):
        """Weight of the conventional branch in training, a variable; on TensorFlow its `.value` is a tf.Variable."""
        return self.get_layer("classifier").alpha

    def call(self, inputs, training=None, mask=None):
        """Runs the functional graph in the published code's order: the trunk sees the conventional image first.

        Keras would run the graph from the last input to the first.  Each pass updates BatchNorm's running statistics,
        so they depend on the order.
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
        """Updates both terms of Eq. 3, and compiled metrics by y_c: they take one label for each prediction."""
        if not isinstance(y, (tuple, list)):
            return super().compute_metrics(x, y, y_pred, sample_weight)
        for metric, label in zip(self._branch_losses, y, strict=True):
            metric.update_state(label, y_pred)
        return super().compute_metrics(x, y[0], y_pred)

    def branch_features(self, image):
        """Computes both branches' features of the same images, (float [B, D], float [B, D]); the trunk runs once."""
        feature_map = self.get_layer("trunk")(image)
        return tuple(self.get_layer(name)(feature_map) for name in BRANCHES)

    def inference(self, alphas=None):
        """Makes a model for new images: it has one input, runs the trunk once, and shares its layers with this model.

        Args:
            alphas: dict name -> alpha in [0, 1]; None for alpha = 0.5 only.

        Returns:
            Model float [B, H, W, 3] -> logits [B, C]; with `alphas`, -> dict name -> logits [B, C].
        """
        image = keras.Input(self.input_shape[0][1:], name="image")
        features = self.branch_features(image)
        classifier = self.get_layer("classifier")
        if alphas is None:
            return keras.Model(image, classifier(features, alpha=EVAL_ALPHA), name="bbn_inference")
        conventional, rebalancing = (classifier(features, alpha=alpha) for alpha in (1.0, 0.0))
        # Eq. 1 is linear in alpha, so two products are enough for all alphas.
        outputs = {name: alpha * conventional + (1 - alpha) * rebalancing for name, alpha in alphas.items()}
        return keras.Model(image, outputs, name="bbn_inference")

    def classifier_kernels(self):
        """dict with the arrays W_c (`conventional`) and W_r (`rebalancing`), float [D, C]."""
        classifier = self.get_layer("classifier")
        kernels = {"conventional": classifier.conventional_kernel, "rebalancing": classifier.rebalancing_kernel}
        return {name: keras.ops.convert_to_numpy(kernel) for name, kernel in kernels.items()}

    def linear_view(self, branch="both", keep=True):
        """Splits the model into features and a linear classifier: logits = features @ kernel + bias.

        Args:
            branch: name in `BRANCH_ALPHAS`: the features of one branch, or of both, concatenated.
            keep: not used; see `Plain.linear_view`.

        Returns:
            (image, features [B, D'] as Keras tensors; kernel float32 [D', C]; bias float32 [C]).
        """
        image = keras.Input(self.input_shape[0][1:], name="image")
        classifier = self.get_layer("classifier")
        alpha = BRANCH_ALPHAS[branch]
        shares = {"conventional": alpha, "rebalancing": 1 - alpha}
        named = zip(self.branch_features(image), self.classifier_kernels().items(), strict=True)
        kept = [(f, classifier.feature_scale * shares[name] * kernel) for f, (name, kernel) in named if shares[name]]
        features, kernels = zip(*kept, strict=True)
        if len(kept) == 2:
            features = [keras.layers.Concatenate(name="both", dtype="float32")(features)]
        kernel = np.concatenate(kernels)
        bias = keras.ops.convert_to_numpy(classifier.bias) if classifier.use_bias else np.zeros(kernel.shape[1])
        return image, features[0], kernel, np.float32(bias)


def build_bbn(backbone, input_shape, num_classes, feature_convention="published_code", **layer_options):
    """Makes a BBN with a shared trunk and two copies of the last residual block.

    The two images go through the trunk in two passes, first the conventional one, so that each has its own batch
    statistics in BatchNorm, as in the published code.

    Args:
        backbone: see `backbones.made`.
        input_shape: (H, W, 3).
        num_classes: C.
        feature_convention: name in `FEATURE_CONVENTIONS`.
        **layer_options: see `ResNet.trunk`.

    Returns:
        `BBN` (float [B, H, W, 3], float [B, H, W, 3]) -> float32 logits [B, C].
    """
    family = backbones.made(backbone)
    trunk, (conventional, rebalancing) = family.parts(input_shape, BRANCHES, **layer_options)
    images = (
        keras.Input(input_shape, name="conventional_image"),
        keras.Input(input_shape, name="rebalancing_image"),
    )
    features = (conventional(trunk(images[0])), rebalancing(trunk(images[1])))
    options = FEATURE_CONVENTIONS[feature_convention]
    dtype = logits_dtype(**layer_options)
    logits = CumulativeClassifier(num_classes, name="classifier", dtype=dtype, **options)(features)
    return BBN(images, logits, name="bbn")
