"""Errors of a model on a data set's evaluation images, at alpha 0.5 and of each branch alone."""

import keras
import numpy as np

from bbn_tf import input_pipeline, metrics, models
from bbn_tf.layers import EVAL_ALPHA

ALPHAS = {"both": EVAL_ALPHA, "conventional": 1.0, "rebalancing": 0.0}
MOST_IMAGES, MOST_PIXELS = 512, 128 * 224 * 224  # of a batch: 77 MB
SHARED_BY = 32  # batches are multiples of it, so that each of a host's replicas gets some images


class Evaluator:
    """Callable that classifies the evaluation images and returns the figures of metrics.json.

    Made once a run, inside the distribution strategy's scope if there is one, since its prediction
    function is compiled on the first call.

    Args:
        model: `BBN` or the plain model.
        dataset: `ImageDataset`.

    Attributes:
        confusion: int64 [C, C] at alpha 0.5, of the last call; see `metrics.confusion_matrix`.
    """

    def __init__(self, model, dataset):
        self.dataset = dataset
        logits = models.inference_model(model, ALPHAS if isinstance(model, models.BBN) else None)
        outputs = logits.output if isinstance(logits.output, dict) else {"both": logits.output}
        # The class is found on the device: logits of many classes need not be kept.
        classes = {name: keras.ops.argmax(output, axis=-1) for name, output in outputs.items()}
        self.classify = keras.Model(logits.input, classes)
        height, width, _ = dataset.input_shape
        batch = batch_size(len(dataset.eval_labels), height, width)
        self.batches = input_pipeline.evaluation_batches(dataset, batch)

    def __call__(self):
        """dict: see `metrics.error_summary`; BBN also `conventional_error` and `rebalancing_error`."""
        predicted = self.classify.predict(self.batches, verbose=0)
        labels, num_classes = self.dataset.eval_labels, self.dataset.num_classes
        confusions = {
            name: metrics.confusion_matrix(labels, np.asarray(classes)[: len(labels)], num_classes)
            for name, classes in predicted.items()
        }
        self.confusion = confusions.pop("both")
        figures = metrics.error_summary(self.confusion, self.dataset.class_counts)
        figures.update({f"{name}_error": metrics.top1_error(matrix) for name, matrix in confusions.items()})
        return figures


def batch_size(count, height, width):
    """Images a batch: the largest that is allowed, or fewer so that `count` images fill their last batch better."""
    most = min(MOST_IMAGES, max(1, MOST_PIXELS // (height * width)))
    batches = -(-count // most)
    return -(-count // (batches * SHARED_BY)) * SHARED_BY
