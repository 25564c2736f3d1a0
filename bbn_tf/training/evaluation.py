"""What a model does on a data set's evaluation images: the figures of metrics.json."""

import math

import keras
import numpy as np

from bbn_tf.data import input_pipeline
from bbn_tf.errors import UserError
from bbn_tf.models.layers import EVAL_ALPHA
from bbn_tf.training import metrics

ALPHAS = {f"{tenths / 10}": tenths / 10 for tenths in range(11)}
BOTH, CONVENTIONAL, REBALANCING = (str(alpha) for alpha in (EVAL_ALPHA, 1.0, 0.0))
MOST_INPUTS, MOST_VALUES = 512, 128 * 224 * 224 * 3  # of a batch: 77 MB
SHARED_BY = 32  # batches are multiples of it, so that each of a host's replicas gets some images


class Evaluator:
    """Callable that classifies the evaluation images and returns the figures of metrics.json.

    Made once a run, inside the distribution strategy's scope if there is one, since its prediction
    function is compiled on the first call.

    Args:
        model: `BBN` or the plain model.
        dataset: `ImageDataset`.

    Attributes:
        figures: dict that the last call returned; None before the first.
        predicted, confidence: int64 [N] and float32 [N] of the last call at alpha 0.5: the class of each evaluation
            image, and its probability.
        confusion: int64 [C, C] of them; see `metrics.confusion_matrix`.
    """

    figures = None

    def __init__(self, model, dataset):
        self.model, self.dataset = model, dataset
        view = model.inference(ALPHAS)
        logits = view.output if isinstance(view.output, dict) else {BOTH: view.output}
        # Class and confidence are found on the device: logits of many classes need not be kept.
        outputs = {alpha: keras.ops.argmax(z, axis=-1) for alpha, z in logits.items()}
        outputs["confidence"] = keras.ops.max(keras.ops.softmax(logits[BOTH]), axis=-1)
        self.classify = keras.Model(view.input, outputs)
        self.batches = batches_of(dataset, "eval")

    def __call__(self):
        """dict: see `metrics.error_summary` and `metrics.calibration`, and

        `worst_class` (its name; of several alike the first), `classes_without_eval_images` (list of names),
        `classifier_norms` (dict classifier -> list of C, the l2 norm of each class's weights; BBN's `combined`
        is that of W_c and W_r one below the other), for BBN also `error_by_alpha` (dict alpha -> %), and of it
        `conventional_error` (alpha 1) and `rebalancing_error` (alpha 0).
        """
        predicted = predict(self.classify, self.batches, len(self.dataset.eval_labels))
        confidence = predicted.pop("confidence")
        if not np.all(np.isfinite(confidence)):
            raise UserError("the network's answers are no numbers: training diverged; a lower --learning_rate may help")
        labels = self.dataset.eval_labels
        self.predicted, self.confidence = predicted[BOTH], confidence
        self.confusion = metrics.confusion_matrix(labels, self.predicted, self.dataset.num_classes)
        figures = metrics.error_summary(self.confusion, self.dataset.class_counts)
        figures |= _named(figures, self.dataset.class_names)
        figures |= metrics.calibration(confidence, self.predicted == labels)
        figures["classifier_norms"] = classifier_norms(self.model)
        if len(predicted) > 1:
            by_alpha = {alpha: 100 * float(np.mean(c != labels)) for alpha, c in predicted.items()}
            figures["error_by_alpha"] = by_alpha
            figures |= {"conventional_error": by_alpha[CONVENTIONAL], "rebalancing_error": by_alpha[REBALANCING]}
        self.figures = figures
        return figures


def _named(figures, class_names):
    """The classes that figures of `metrics.error_summary` are about or leave out, by their names."""
    worst = figures["per_class_error"].index(figures["worst_class_error"])
    without = [name for name, count in zip(class_names, figures["eval_class_counts"], strict=True) if not count]
    return {"worst_class": class_names[worst], "classes_without_eval_images": without}


def batches_of(dataset, part):
    """All images of `part`, "train" or "eval", in order, in batches of a fitting size."""
    count = len(dataset.part(part)[1])
    return input_pipeline.ordered_batches(dataset, part, batch_size(count, dataset.input_shape))


def predict(model, batches, count):
    """What a model answers to the first `count` images: array [N, ...], or a dict of such, as its output is."""
    return keras.tree.map_structure(lambda answer: np.asarray(answer)[:count], model.predict(batches, verbose=0))


def classifier_norms(model):
    """dict classifier -> list of C floats; see `Evaluator`."""
    kernels = model.classifier_kernels()
    if len(kernels) > 1:
        kernels["combined"] = np.concatenate(list(kernels.values()))
    return {name: np.linalg.norm(kernel.astype(np.float64), axis=0).tolist() for name, kernel in kernels.items()}


def batch_size(count, shape):
    """Inputs of a shape a batch: the most allowed, or fewer so that `count` of them fill their last batch better."""
    most = min(MOST_INPUTS, max(1, MOST_VALUES // math.prod(shape)))
    batches = -(-count // most)
    return -(-count // (batches * SHARED_BY)) * SHARED_BY
