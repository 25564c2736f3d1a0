"""A second stage: keeps what a finished run represents images by, and makes a new classifier.

Decoupled training of Kang et al. (arXiv:1910.09217), post-hoc logit adjustment of Menon et al. (arXiv:2007.07314), and
the classifiers retrained on frozen features in section 3 of arXiv:1912.02413.  Features are computed once, from images
that are not augmented, BatchNorm with its running statistics.
"""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.errors import UserError
from bbn_tf.models.layers import ClassWeights, LogitScales
from bbn_tf.models.plain import Plain, linear_classifier
from bbn_tf.training import evaluation
from bbn_tf.training.classifiers import CLASSIFIERS


@dataclasses.dataclass(frozen=True)
class FeatureDataset(ImageDataset):
    """A data set whose items are features float32 [N, D]."""

    def reader(self, part, augment="none"):
        features = tf.constant(self.part(part)[0])
        return lambda indices, key=None: tf.gather(features, indices)


class SecondStage:
    """The frozen part of a run's model and a head on its features.

    Args:
        model: `BBN` or `Plain`, trained.
        dataset: `ImageDataset`, not necessarily the one it was trained on.
        classifier: name of `CLASSIFIERS`.
        branch: BBN only, whose features: "both", "conventional" or "rebalancing".
        **own: settings of the classifier's row.

    Raises:
        UserError: the images or, unless the classifier is retrained, the classes are not those of the run.
    """

    def __init__(self, model, dataset, classifier, *, branch="both", **own):
        self.dataset, self.classifier, self.row = dataset, classifier, CLASSIFIERS[classifier]
        image, features, kernel, bias = model.linear_view(branch, keep=self.row.keeps)
        self.representation = keras.Model(image, features, name="representation")
        self.representation.trainable = False
        self._check(kernel.shape[1])
        if self.row.keeps:
            self.kernel, self.bias = self.row(kernel, bias, dataset.class_counts, **own)

    def _check(self, classes):
        shape = tuple(self.representation.input_shape[1:])
        if shape != tuple(self.dataset.input_shape):
            raise UserError(f"--from_run: its images are {shape}, those of --dataset {tuple(self.dataset.input_shape)}")
        if self.row.keeps and classes != self.dataset.num_classes:
            raise UserError(
                f"--classifier={self.classifier}: keeps the {classes} classes of --from_run, --dataset has "
                f"{self.dataset.num_classes}; retrain makes a new one"
            )

    def features(self):
        """`FeatureDataset` of the data set."""
        train, held_out = (self._features(part) for part in ("train", "eval"))
        fields = {field.name: getattr(self.dataset, field.name) for field in dataclasses.fields(ImageDataset)}
        return FeatureDataset(**{**fields, "train_items": train, "eval_items": held_out})

    def _features(self, part):
        count = len(self.dataset.part(part)[1])
        features = evaluation.predict(self.representation, evaluation.batches_of(self.dataset, part), count)
        return features.astype(np.float32)

    def head(self):
        """`Plain` model float [B, D] -> logits [B, C], of which only what the classifier learns is trainable."""
        width, num_classes = self.representation.output_shape[-1], self.dataset.num_classes
        features = keras.Input((width,), name="features")
        classifier = linear_classifier(width, num_classes, name="classifier")
        logits = classifier(features)
        if self.row.keeps:
            classifier.set_weights([self.kernel, self.bias])
            classifier.trainable = False
        if self.row.scaled:
            logits = LogitScales(name="scales")(logits)
        return Plain(features, ClassWeights(name="class_weights")(logits), name="head")

    def whole(self, head):
        """`Plain` model image -> logits: the frozen part and the head, whose scales go into its weights."""
        image = keras.Input(self.representation.input_shape[1:], name="image")
        width, num_classes = self.representation.output_shape[-1], self.dataset.num_classes
        classifier = linear_classifier(width, num_classes, name="classifier", dtype="float32")
        weighted = ClassWeights(name="class_weights", dtype="float32")
        model = Plain(image, weighted(classifier(self.representation(image))), name="plain")
        kernel, bias = map(keras.ops.convert_to_numpy, head.get_layer("classifier").weights)
        scales = keras.ops.convert_to_numpy(head.get_layer("scales").scales) if self.row.scaled else 1.0
        classifier.set_weights([kernel * scales, bias * scales])
        return model
