"""What a model does on a data set's evaluation images: the figures of metrics.json."""

import keras
import numpy as np

from bbn_tf import input_pipeline, metrics, models
from bbn_tf.errors import UserError
from bbn_tf.layers import EVAL_ALPHA

ALPHAS = {f"{tenths / 10}": tenths / 10 for tenths in range(11)}
BOTH, CONVENTIONAL, REBALANCING = (str(alpha) for alpha in (EVAL_ALPHA, 1.0, 0.0))
EVAL_BATCH = 500


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
        self.model, self.dataset = model, dataset
        view = models.inference_model(model, ALPHAS if isinstance(model, models.BBN) else None)
        logits = view.output if isinstance(view.output, dict) else {BOTH: view.output}
        # Class and confidence are found on the device: logits of many classes need not be kept.
        outputs = {alpha: keras.ops.argmax(z, axis=-1) for alpha, z in logits.items()}
        outputs["confidence"] = keras.ops.max(keras.ops.softmax(logits[BOTH]), axis=-1)
        self.classify = keras.Model(view.input, outputs)
        self.batches = input_pipeline.ordered_batches(dataset, "eval", EVAL_BATCH)

    def __call__(self):
        """dict: see `metrics.error_summary` and `metrics.calibration`, and

        `classifier_norms` (dict classifier -> list of C, the l2 norm of each class's weights; BBN's `combined`
        is that of W_c and W_r one below the other), for BBN also `error_by_alpha` (dict alpha -> %), and of it
        `conventional_error` (alpha 1) and `rebalancing_error` (alpha 0).
        """
        predicted = self.classify.predict(self.batches, verbose=0)
        confidence = np.asarray(predicted.pop("confidence"))
        if not np.all(np.isfinite(confidence)):
            raise UserError("the network's answers are no numbers: training diverged; a lower --learning_rate may help")
        labels = self.dataset.eval_labels
        classes = np.asarray(predicted[BOTH])
        self.confusion = metrics.confusion_matrix(labels, classes, self.dataset.num_classes)
        figures = metrics.error_summary(self.confusion, self.dataset.class_counts)
        figures |= metrics.calibration(confidence, classes == labels)
        figures["classifier_norms"] = classifier_norms(self.model)
        if len(predicted) > 1:
            by_alpha = {alpha: 100 * float(np.mean(np.asarray(c) != labels)) for alpha, c in predicted.items()}
            figures["error_by_alpha"] = by_alpha
            figures |= {"conventional_error": by_alpha[CONVENTIONAL], "rebalancing_error": by_alpha[REBALANCING]}
        return figures


def classifier_norms(model):
    """dict classifier -> list of C floats; see `Evaluator`."""
    kernels = models.classifier_kernels(model)
    if len(kernels) > 1:
        kernels["combined"] = np.concatenate(list(kernels.values()))
    return {name: np.linalg.norm(kernel.astype(np.float64), axis=0).tolist() for name, kernel in kernels.items()}
