"""A second stage: keeps the features of a finished run and makes a new classifier for them.

It covers decoupled training (Kang et al., arXiv:1910.09217), post-hoc logit adjustment (Menon et al., arXiv:2007.07314)
and the classifiers that section 3 of arXiv:1912.02413 retrains on frozen features.  Features are computed only once,
from images without augmentation, and BatchNorm uses its running statistics.
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
    """The frozen part of a trained model, and a new head on its features.

    Args:
        model: trained `BBN` or `Plain`.
        dataset: `ImageDataset`; it may differ from the data set of the first stage.
        classifier: name in `CLASSIFIERS`.
        branch: only for BBN: use the features of "both" branches, of "conventional" or of "rebalancing".
        **own: settings that the classifier's row owns.

    Raises:
        UserError: the image shape differs from the first stage's; or the classifier is kept and the number of classes
            differs.
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
                f"{self.dataset.num_classes}; --classifier=retrain makes a new one"
            )

    def features(self):
        """Computes the features of all images and returns them as a `FeatureDataset`."""
        train, held_out = (self._features(part) for part in ("train", "eval"))
        fields = {field.name: getattr(self.dataset, field.name) for field in dataclasses.fields(ImageDataset)}
        return FeatureDataset(**{**fields, "train_items": train, "eval_items": held_out})

    def _features(self, part):
        count = len(self.dataset.part(part)[1])
        features = evaluation.predict(self.representation, evaluation.batches_of(self.dataset, part), count)
        return features.astype(np.float32)

    def head(self):
        """Makes a `Plain` model features float [B, D] -> logits [B, C]; only the new parts of the classifier train."""
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
        """Makes a `Plain` model image -> logits from the frozen part and a trained head.

        Learned scales are multiplied into the kernel and the bias.
        """
        image = keras.Input(self.representation.input_shape[1:], name="image")
        width, num_classes = self.representation.output_shape[-1], self.dataset.num_classes
        classifier = linear_classifier(width, num_classes, name="classifier", dtype="float32")
        weighted = ClassWeights(name="class_weights", dtype="float32")
        model = Plain(image, weighted(classifier(self.representation(image))), name="plain")
        kernel, bias = map(keras.ops.convert_to_numpy, head.get_layer("classifier").weights)
        scales = keras.ops.convert_to_numpy(head.get_layer("scales").scales) if self.row.scaled else 1.0
        classifier.set_weights([kernel * scales, bias * scales])
        return model
