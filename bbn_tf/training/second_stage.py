"""A second stage: keeps what a finished run represents images by, and makes its classifier anew.

Decoupled training of Kang et al. (arXiv:1910.09217), post-hoc logit adjustment of Menon et al.
(arXiv:2007.07314), and the classifiers retrained on frozen features in section 3 of arXiv:1912.02413.
Features are computed once, from images that are not augmented, BatchNorm with its running statistics.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from bbn_tf.data.datasets import ImageDataset
from bbn_tf.errors import UserError
from bbn_tf.models import models
from bbn_tf.models.layers import ClassWeights, CosineClassifier, LogitScales
from bbn_tf.training import evaluation as evaluate

BRANCH_ALPHAS = {"both": 0.5, "conventional": 1.0, "rebalancing": 0.0}


@dataclasses.dataclass(frozen=True)
class FeatureDataset(ImageDataset):
    """A data set whose images are features float32 [N, D]."""

    def reader(self, part, augment="none"):
        features = tf.constant({"train": self.train_images, "eval": self.eval_images}[part])
        return lambda indices, key=None: tf.gather(features, indices)


class SecondStage:
    """The frozen part of a run's model and a head on its features.

    Args:
        model: `BBN` or the plain model, trained.
        dataset: `ImageDataset`, not necessarily the one it was trained on.
        classifier: one of `settings.CLASSIFIERS`.
        branch: BBN only, a name of `BRANCH_ALPHAS`.
        tau, logit_adjustment: of the classifiers of these names.

    Raises:
        UserError: the images or, unless the classifier is retrained, the classes are not those of the run.
    """

    def __init__(self, model, dataset, classifier, *, branch="both", tau=None, logit_adjustment=None):
        self.dataset, self.classifier = dataset, classifier
        self.representation, self.kernel, self.bias = linear_view(model, branch, keep=classifier != "retrain")
        self._check()
        if classifier == "tau_norm":
            self.kernel, self.bias = tau_normalised(self.kernel, tau)
        elif classifier == "logit_adjusted":
            self.bias = self.bias - logit_adjustment * np.log(dataset.class_counts / dataset.class_counts.sum())

    def _check(self):
        shape, classes = tuple(self.representation.input_shape[1:]), self.kernel.shape[1]
        if shape != tuple(self.dataset.input_shape):
            raise UserError(f"--from_run: its images are {shape}, those of --dataset {tuple(self.dataset.input_shape)}")
        if self.classifier != "retrain" and classes != self.dataset.num_classes:
            raise UserError(
                f"--classifier={self.classifier}: keeps the {classes} classes of --from_run, --dataset has "
                f"{self.dataset.num_classes}; retrain makes it anew"
            )

    def features(self):
        """`FeatureDataset` of the data set."""
        train, held_out = (self._features(part) for part in ("train", "eval"))
        fields = {field.name: getattr(self.dataset, field.name) for field in dataclasses.fields(ImageDataset)}
        return FeatureDataset(**{**fields, "train_images": train, "eval_images": held_out})

    def _features(self, part):
        count = len({"train": self.dataset.train_labels, "eval": self.dataset.eval_labels}[part])
        features = evaluate.predict(self.representation, evaluate.batches_of(self.dataset, part), count)
        return features.astype(np.float32)

    def head(self):
        """`Plain` model float [B, D] -> logits [B, C], of which only what the classifier learns is trainable."""
        width, num_classes = self.representation.output_shape[-1], self.dataset.num_classes
        features = keras.Input((width,), name="features")
        classifier = models.linear_classifier(width, num_classes, name="classifier")
        logits = classifier(features)
        if self.classifier != "retrain":
            classifier.set_weights([self.kernel, self.bias])
            classifier.trainable = False
        if self.classifier == "lws":
            logits = LogitScales(name="scales")(logits)
        return models.Plain(features, ClassWeights(name="class_weights")(logits), name="head")

    def whole(self, head):
        """`Plain` model image -> logits: the frozen part and the head, whose scales go into its weights."""
        image = keras.Input(self.representation.input_shape[1:], name="image")
        classifier = models.linear_classifier(self.kernel.shape[0], self.dataset.num_classes, name="classifier",
                                              dtype="float32")  # fmt: skip
        weighted = ClassWeights(name="class_weights", dtype="float32")
        model = models.Plain(image, weighted(classifier(self.representation(image))), name="plain")
        kernel, bias = map(keras.ops.convert_to_numpy, head.get_layer("classifier").weights)
        scales = keras.ops.convert_to_numpy(head.get_layer("scales").scales) if self.classifier == "lws" else 1.0
        classifier.set_weights([kernel * scales, bias * scales])
        return model


def linear_view(model, branch="both", keep=True):
    """A model as a representation and a linear classifier on it: logits = features @ kernel + bias.

    Args:
        model: `BBN` or `Plain`.
        branch: see `SecondStage`.
        keep: whether kernel and bias are wanted; if not, features that only suit them (LDAM's, which have
            length 1) are left as they are.

    Returns:
        (Model float [B, H, W, 3] -> [B, D], frozen; float32 [D, C]; float32 [C]).
    """
    classifier = model.get_layer("classifier")
    kernels = models.classifier_kernels(model)
    if isinstance(model, models.BBN):
        image = keras.Input(model.input_shape[0][1:], name="image")
        features, kernel = _of_branches(models.branch_features(model, image), kernels, branch, classifier.feature_scale)
        bias = classifier.bias if classifier.use_bias else None
    else:
        image, features, kernel = model.input, classifier.input, kernels["plain"]
        bias = None if isinstance(classifier, CosineClassifier) else classifier.bias
        if isinstance(classifier, CosineClassifier) and keep:
            features = keras.layers.UnitNormalization(name="unit", dtype="float32")(features)
    bias = np.zeros(kernel.shape[1], np.float32) if bias is None else keras.ops.convert_to_numpy(bias)
    representation = keras.Model(image, features, name="representation")
    representation.trainable = False
    return representation, kernel, bias


def _of_branches(features, kernels, branch, scale):
    """One feature vector and its kernel, of one branch or of both side by side (Eq. 1 with the branch's alpha)."""
    alpha = BRANCH_ALPHAS[branch]
    shares = {"conventional": alpha, "rebalancing": 1 - alpha}
    kept = [(feature, scale * share * kernels[name])
            for feature, (name, share) in zip(features, shares.items(), strict=True) if share]  # fmt: skip
    if len(kept) == 1:
        return kept[0]
    parts, kernels = zip(*kept, strict=True)
    return keras.layers.Concatenate(name="both", dtype="float32")(parts), np.concatenate(kernels)


def tau_normalised(kernel, tau):
    """w_i / |w_i|^tau, and no bias (Eq. 4 of arXiv:1910.09217 and its code)."""
    norms = np.linalg.norm(kernel, axis=0)
    return kernel / np.maximum(norms, np.finfo(np.float32).tiny) ** tau, np.zeros(kernel.shape[1], np.float32)
