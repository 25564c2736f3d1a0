"""Errors from a confusion matrix, in percent."""

import numpy as np

from bbn_tf.data import long_tail

CALIBRATION_BINS = 15


def confusion_matrix(labels, predicted, num_classes):
    """int64 [C, C]; row: true class, column: predicted class."""
    flat = np.asarray(labels) * num_classes + np.asarray(predicted)
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def top1_error(confusion):
    """Percent of all images that are classified wrongly."""
    return float(100 * (1 - np.trace(confusion) / np.sum(confusion)))


def per_class_error(confusion):
    """float64 [C], percent of each class's images; NaN for a class without images."""
    total = confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return 100 * (1 - np.diag(confusion) / total)


def error_summary(confusion, class_counts):
    """The figures of metrics.json that one confusion matrix gives.

    Args:
        confusion: int [C, C].
        class_counts: int [C], TRAINING images of each class: they decide the groups.

    Returns:
        dict: `top1_error`, `balanced_error` (mean over the classes; on a balanced test set the same),
        `many_error`, `medium_error`, `few_error` (of the group's images; None for an empty group) and
        `per_class_error` (list of C; None where a class has no image).
    """
    by_class = per_class_error(confusion)
    summary = {"top1_error": top1_error(confusion), "balanced_error": float(np.nanmean(by_class))}
    for name, members in long_tail.groups(class_counts).items():
        total = confusion[members].sum()
        correct = np.diag(confusion)[members].sum()
        summary[f"{name}_error"] = float(100 * (1 - correct / total)) if total else None
    summary["per_class_error"] = [None if np.isnan(e) else float(e) for e in by_class]
    return summary


def calibration(confidence, correct):
    """How far confidence and accuracy are apart (Guo et al., arXiv:1706.04599, Eq. 3), in 15 bins of equal width.

    Args:
        confidence: float [N], the probability of the predicted class.
        correct: bool [N], whether it is the label.

    Returns:
        dict: `calibration_error` (ECE, percent) and `reliability`, a dict of lists, one value a bin: `images`,
        `confidence` and `accuracy` (means, percent; None in an empty bin).
    """
    place = np.minimum((np.asarray(confidence, np.float64) * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    images = np.bincount(place, minlength=CALIBRATION_BINS)
    sums = [np.bincount(place, x, CALIBRATION_BINS) for x in (confidence, correct)]
    error = 100 * np.sum(np.abs(sums[0] - sums[1])) / len(place)
    confident, accurate = ([100 * float(x) / n if n else None for x, n in zip(s, images.tolist(), strict=True)]
                           for s in sums)  # fmt: skip
    reliability = {"images": images.tolist(), "confidence": confident, "accuracy": accurate}
    return {"calibration_error": float(error), "reliability": reliability}
