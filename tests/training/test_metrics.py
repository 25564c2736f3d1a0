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


def test_further_figures_by_hand():
    """F1 of the classes: 2 * 9 / (10 + 14), 2 * 5 / (10 + 16), 2 * 10 / (20 + 10)."""
    confusion = metrics.confusion_matrix(LABELS, PREDICTED, 3)
    summary = metrics.error_summary(confusion, class_counts=[500, 200, 19])
    assert summary["macro_f1"] == pytest.approx(100 * (18 / 24 + 10 / 26 + 20 / 30) / 3)
    assert summary["harmonic_mean_accuracy"] == pytest.approx(2 / (1 / 70 + 1 / 50))  # many 70 %, few 50 %
    assert summary["worst_class_error"] == pytest.approx(50)
    assert summary["eval_class_counts"] == [10, 10, 20]
    assert summary["eval_group_counts"] == {"all": 40, "many": 20, "medium": 0, "few": 20}
    assert summary["error_intervals"]["medium"] is None
    assert summary["error_intervals"]["many"] == metrics.wilson_interval(6, 20)


def test_wilson_interval_solves_its_equation():
    """The ends p are 1.96 standard deviations from what was seen; 0 of 10 gives z^2 / (10 + z^2)."""
    for end in metrics.wilson_interval(6, 20):
        p = end / 100
        assert abs(p - 0.3) / np.sqrt(p * (1 - p) / 20) == pytest.approx(1.959964)
    assert metrics.wilson_interval(0, 10) == pytest.approx([0, 100 * 3.841459 / 13.841459])
    assert metrics.wilson_interval(10, 10) == pytest.approx([100 * 10 / 13.841459, 100])
    assert metrics.wilson_interval(0, 0) is None


def test_shifted_error_by_hand():
    """Three classes, head to tail 2, 0, 1: shares of 1, r^(-1/2), 1/r of the test images; the errors are 10, 50, 0."""
    errors = metrics.shifted_error(np.array([10.0, 50.0, 0.0]), class_counts=[30, 4, 900])
    assert list(errors) == ["forward_50", "forward_25", "forward_10", "forward_5", "forward_2", "uniform",
                            "backward_2", "backward_5", "backward_10", "backward_25", "backward_50"]  # fmt: skip
    assert errors["uniform"] == pytest.approx(20)
    # Shares of 25 : 5 : 1 and 1 : 5 : 25, of 31.
    assert errors["forward_25"] == pytest.approx((5 * 10 + 1 * 50) / 31)
    assert errors["backward_25"] == pytest.approx((5 * 10 + 25 * 50) / 31)
    assert sorted(errors.values()) == list(errors.values())


def test_class_without_images():
    """It is in no mean: the one test image of class 1, the rarest, is right, class 2 has none."""
    confusion = np.array([[3, 1, 0], [0, 1, 0], [0, 0, 0]])
    summary = metrics.error_summary(confusion, class_counts=[200, 10, 50])
    assert summary["per_class_error"] == [25.0, 0.0, None]
    assert summary["balanced_error"] == 12.5 and summary["many_error"] == 25.0 and summary["medium_error"] is None
    assert summary["macro_f1"] == pytest.approx(100 * (6 / 7 + 2 / 3) / 2)
    assert summary["harmonic_mean_accuracy"] == pytest.approx(2 / (1 / 75 + 1 / 100))
    # Class 2 stands in the middle of head to tail, so the shares of the two others are 25 : 1.
    assert summary["shifted_error"]["forward_25"] == pytest.approx(25 * 25 / 26)
    assert summary["shifted_error"]["backward_25"] == pytest.approx(25 / 26)
    assert summary["eval_class_counts"] == [4, 1, 0]


def test_a_group_that_is_never_right():
    summary = metrics.error_summary(np.array([[4, 0], [4, 0]]), class_counts=[200, 1])
    assert summary["harmonic_mean_accuracy"] == 0 and summary["error_intervals"]["few"][1] == 100


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
