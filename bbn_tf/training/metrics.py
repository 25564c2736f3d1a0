"""Errors from a confusion matrix, in percent."""

import math

import numpy as np

from bbn_tf.data import long_tail

CALIBRATION_BINS = 15
Z95 = 1.959963984540054  # a standard normal variable is within plus and minus this with probability 0.95
# SADE's test sets (arXiv:2107.09249): name -> share of the most frequent class over that of the rarest.
SHIFTS = {
    **{f"forward_{ratio}": float(ratio) for ratio in (50, 25, 10, 5, 2)},
    "uniform": 1.0,
    **{f"backward_{ratio}": 1 / ratio for ratio in (2, 5, 10, 25, 50)},
}


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

    Classes without a test image are left out of `balanced_error`, `macro_f1`, `worst_class_error` and `shifted_error`,
    groups without one out of `harmonic_mean_accuracy`.

    Args:
        confusion: int [C, C].
        class_counts: int [C], TRAINING images of each class: they decide the groups.

    Returns:
        dict: `top1_error`, `balanced_error` (mean over the classes; on a balanced test set the same),
        `many_error`, `medium_error`, `few_error` (of the group's images; None for an empty group),
        `per_class_error` (list of C; None where a class has no image), `worst_class_error` (the highest of them),
        `macro_f1` (percent, see `macro_f1`), `harmonic_mean_accuracy` (percent, of the groups; 0 if one has 0),
        `error_intervals` (dict all, many, medium, few -> see `wilson_interval`), `eval_class_counts` (list of C, test
        images), `eval_group_counts` (dict all, many, medium, few -> test images) and `shifted_error` (see there).
    """
    by_class, images = per_class_error(confusion), confusion.sum(axis=1)
    masks = {"all": np.ones(len(images), bool), **long_tail.groups(class_counts)}
    total = {name: int(images[mask].sum()) for name, mask in masks.items()}
    wrong = {name: total[name] - int(np.diag(confusion)[mask].sum()) for name, mask in masks.items()}
    groups = {
        name: 100 * (1 - (total[name] - wrong[name]) / total[name]) if total[name] else None
        for name in long_tail.groups(class_counts)
    }
    accuracies = [100 - error for error in groups.values() if error is not None]
    return {
        "top1_error": top1_error(confusion),
        "balanced_error": float(np.nanmean(by_class)),
        **{f"{name}_error": error for name, error in groups.items()},
        "per_class_error": [None if np.isnan(e) else float(e) for e in by_class],
        "worst_class_error": float(np.nanmax(by_class)),
        "macro_f1": macro_f1(confusion),
        "harmonic_mean_accuracy": harmonic_mean(accuracies),
        "error_intervals": {name: wilson_interval(wrong[name], total[name]) for name in masks},
        "eval_class_counts": images.tolist(),
        "eval_group_counts": total,
        "shifted_error": shifted_error(by_class, class_counts),
    }


def wilson_interval(wrong, total):
    """The 95 % interval of an error rate (Wilson 1927): [low, high] in percent; None without images.

    The rates p for which |p - wrong / total| is at most z standard deviations sqrt(p (1 - p) / total), z = 1.96.
    """
    if not total:
        return None
    rate, z2 = wrong / total, Z95**2 / total
    middle, half = rate + z2 / 2, math.sqrt(z2 * rate * (1 - rate) + z2**2 / 4)
    return [100 * max(0.0, middle - half) / (1 + z2), 100 * min(1 + z2, middle + half) / (1 + z2)]


def macro_f1(confusion):
    """Percent: mean of F1 = 2 TP / (images of the class + images classified as it) over classes with test images."""
    images, classified = confusion.sum(axis=1), confusion.sum(axis=0)
    tested = images > 0
    return float(100 * np.mean(2 * np.diag(confusion)[tested] / (images + classified)[tested]))


def harmonic_mean(values):
    """Of numbers from 0 on, at least one; 0 if one of them is."""
    return len(values) / sum(1 / value for value in values) if min(values) > 0 else 0.0


def shifted_error(by_class, class_counts):
    """Top-1 error if the test set itself had a long tail, as SADE tests it (arXiv:2107.09249).

    Class i of C, ordered from 0 by falling number of training images, has a share of the test images proportional to
    r^(-i / (C - 1)): forward r = 50, 25, 10, 5, 2, uniform r = 1, backward r = 1/2 ... 1/50.  SADE draws such test
    sets; here the errors of the classes are weighted by the shares instead, which is the expected error of such a draw.

    Args:
        by_class: float [C], percent; NaN for a class without test images, which has no share.
        class_counts: int [C], training images.

    Returns:
        dict name of `SHIFTS` -> percent.
    """
    place = np.empty(len(by_class))
    place[np.argsort(-np.asarray(class_counts), kind="stable")] = np.linspace(0, 1, len(by_class))
    tested = ~np.isnan(by_class)
    shares = {name: ratio ** -place[tested] for name, ratio in SHIFTS.items()}
    return {name: float(share @ by_class[tested] / share.sum()) for name, share in shares.items()}


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
