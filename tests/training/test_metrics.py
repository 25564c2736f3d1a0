import numpy as np
import pytest

from bbn_tf.training import metrics

# Three classes of 10, 10, 20 images; 1, 5 and 10 of them wrong.
LABELS = np.repeat([0, 1, 2], [10, 10, 20])
PREDICTED = np.concatenate([[1] + [0] * 9, [0] * 5 + [1] * 5, [1] * 10 + [2] * 10])


def test_confusion_matrix_by_hand():
    expected = [[9, 1, 0], [5, 5, 0], [0, 10, 10]]
    assert metrics.confusion_matrix(LABELS, PREDICTED, 3).tolist() == expected


def test_summary_by_hand():
    confusion = metrics.confusion_matrix(LABELS, PREDICTED, 3)
    summary = metrics.error_summary(confusion, class_counts=[500, 200, 19])
    assert summary["per_class_error"] == pytest.approx([10, 50, 50])
    assert summary["top1_error"] == pytest.approx(40)
    assert summary["balanced_error"] == pytest.approx(110 / 3)
    assert summary["many_error"] == pytest.approx(30)
    assert summary["medium_error"] is None
    assert summary["few_error"] == pytest.approx(50)


def test_class_without_images():
    summary = metrics.error_summary(np.array([[3, 1], [0, 0]]), class_counts=[200, 150])
    assert summary["per_class_error"] == [25.0, None]
    assert summary["balanced_error"] == summary["many_error"] == 25.0


def test_calibration_by_hand():
    """Bins are 1/15 wide: 0.5 and 0.52 fall into the eighth, 1.0 into the last."""
    result = metrics.calibration(np.array([0.5, 0.52, 0.9, 1.0]), np.array([True, False, True, False]))
    bins = result["reliability"]
    assert bins["images"] == [0] * 7 + [2] + [0] * 5 + [1, 1]
    assert bins["confidence"][7] == pytest.approx(51) and bins["accuracy"][7] == pytest.approx(50)
    assert bins["confidence"][0] is None and bins["accuracy"][14] == 0
    # (|1.02 - 1| + |0.9 - 1| + |1 - 0|) / 4
    assert result["calibration_error"] == pytest.approx(100 * 1.12 / 4)
    assert metrics.calibration([1.0, 1.0], [True, True])["calibration_error"] == 0
