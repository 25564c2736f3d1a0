import numpy as np
import pytest

from bbn_tf.runs import tables
from bbn_tf.training import metrics

METRICS = {
    "bbn": {"top1_error": 18.0, "many_error": 6.5, "medium_error": None, "few_error": 28.25, "conventional_error": 30.0,
            "rebalancing_error": 70.0, "per_class_error": [6.5, 29.5], "class_counts": [110, 4],
            "class_names": ["zero", "one"]},
    "plain": {"top1_error": 24.0, "many_error": 0.0, "medium_error": None, "few_error": 48.0,
              "per_class_error": [0.0, None], "class_counts": [110, 4], "class_names": ["zero", "one"]},
}  # fmt: skip
NAMES = ["head", "middle", "tail"]


def run(confusion, class_counts=(300, 50, 4), **others):
    """metrics.json of a run with a confusion matrix."""
    summary = metrics.error_summary(np.array(confusion), class_counts)
    return {**summary, "class_names": NAMES, "worst_class": "tail", **others}


BALANCED = run([[9, 1, 0], [5, 5, 0], [1, 9, 0]], conventional_error=50.0)
NOT_BALANCED = run([[9, 1, 0], [5, 5, 0], [4, 0, 0]])
LEFT_OUT = run([[9, 1, 0], [0, 0, 0], [0, 10, 0]])
OLD = {name: BALANCED[name] for name in ("top1_error", "many_error", "medium_error", "few_error", "per_class_error")}
OLD |= {"class_names": NAMES}


def cells(line):
    return line.replace(" - ", "-").split()


def test_table_with_intervals():
    """1, 5 and 10 of 10 images wrong."""
    head, errors, intervals = tables.table({"error %": BALANCED}).splitlines()
    assert cells(head) == ["all", "many", "medium", "few", "conventional"]
    assert cells(errors) == ["error", "%", "53.33", "10.00", "50.00", "100.00", "50.00"]
    ends = ["{:.1f}-{:.1f}".format(*metrics.wilson_interval(*n)) for n in ((16, 30), (1, 10), (5, 10), (10, 10))]
    assert cells(intervals) == ["95", "%", "interval", *ends] and ends[1] == "1.8-40.4"


def test_balanced_error_comes_first_where_the_test_set_is_not():
    head, errors, intervals = tables.table({"error %": NOT_BALANCED}).splitlines()
    assert cells(head)[:2] == ["balanced", "all"]
    assert cells(errors)[2:4] == ["53.33", "41.67"]
    assert head.index("all") + 3 == errors.index("41.67") + 5 == intervals.index("24.5 - 61.2") + 11
    old = {**OLD, "balanced_error": OLD["top1_error"] + 1e-14}
    assert cells(tables.table({"x": old}).splitlines()[0])[0] == "all"
    assert cells(tables.table({"x": {**old, "balanced_error": 50.0}}).splitlines()[0])[0] == "balanced"


def test_classes_without_an_image_are_named():
    lines = tables.table({"error %": LEFT_OUT}).splitlines()
    assert cells(lines[0])[0] == "balanced"
    (note,) = tables.left_out_notes([LEFT_OUT, OLD])
    assert lines[-1] == note and note.startswith("without a test image, left out of ") and note.endswith(": 'middle'")
    assert tables.left_out_notes([BALANCED, OLD]) == []
    many = {"class_names": [f"c{i}" for i in range(15)], "per_class_error": [None] * 15}
    assert tables.left_out_notes([many])[0].endswith("'c8', 'c9' and 5 more, see metrics.json")


def test_details_of_a_run(capsys):
    tables.print_figures(BALANCED)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "images evaluated on: all 30, many 10, medium 10, few 10"
    f1 = 100 * (18 / 25 + 10 / 25 + 0) / 3
    assert lines[4] == (
        f"macro-F1 {f1:.2f} %, harmonic mean of the groups' accuracies 0.00 %, worst class 'tail': error 100.00 %"
    )
    assert lines[5].startswith("error % if the test set had a long tail (SADE): forward 50 ")
    assert ", uniform 53.33, backward 2 " in lines[5]


def test_figures_of_an_older_run(capsys):
    tables.print_figures(OLD)
    assert [cells(line)[-1] for line in capsys.readouterr().out.splitlines()] == ["few", "100.00"]


def test_interval_of_an_empty_group():
    assert tables.interval(None) == "" and tables.interval([1.04, 20.0]) == "1.0 - 20.0"
    assert tables.table({"x": LEFT_OUT}).splitlines()[2].count(" - ") == 3


@pytest.mark.parametrize("order", [(OLD, BALANCED), (BALANCED, OLD)])
def test_older_and_newer_runs_in_one_table(order):
    lines = tables.table(dict(zip("ab", order, strict=True))).splitlines()
    assert len(lines) == 4 and sum(line.startswith("  95 % interval") for line in lines) == 1


def test_table_by_hand():
    lines = tables.table({"BBN": METRICS["bbn"], "plain (cross-entropy)": METRICS["plain"]}).splitlines()
    assert lines[0].split() == ["all", "many", "medium", "few", "conventional", "rebalancing"]
    assert lines[1].split() == ["BBN", "18.00", "6.50", "28.25", "30.00", "70.00"]
    assert lines[2].split() == ["plain", "(cross-entropy)", "24.00", "0.00", "48.00"]
    # Figures stand under their titles, empty ones leave their place.
    assert lines[1].index("28.25") + 5 == lines[2].index("48.00") + 5 == lines[0].index("few") + 3


def test_runs_that_saw_different_images():
    """Of a run without a record nothing is known."""
    same = [{"images": "a"}, {"images": "a"}, {}]
    assert tables.images_note(same) is None
    assert "saw 2 different sets of images" in tables.images_note([*same, {"images": "b"}])
