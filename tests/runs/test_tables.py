from bbn_tf.runs import tables

METRICS = {
    "bbn": {"top1_error": 18.0, "many_error": 6.5, "medium_error": None, "few_error": 28.25, "conventional_error": 30.0,
            "rebalancing_error": 70.0, "per_class_error": [6.5, 29.5], "class_counts": [110, 4],
            "class_names": ["zero", "one"]},
    "plain": {"top1_error": 24.0, "many_error": 0.0, "medium_error": None, "few_error": 48.0,
              "per_class_error": [0.0, None], "class_counts": [110, 4], "class_names": ["zero", "one"]},
}  # fmt: skip


def test_table_by_hand():
    lines = tables.table({"BBN": METRICS["bbn"], "plain (cross-entropy)": METRICS["plain"]}).splitlines()
    assert lines[0].split() == ["all", "many", "medium", "few", "conventional", "rebalancing"]
    assert lines[1].split() == ["BBN", "18.00", "6.50", "28.25", "30.00", "70.00"]
    assert lines[2].split() == ["plain", "(cross-entropy)", "24.00", "0.00", "48.00"]
    # Figures stand under their titles, empty ones leave their place.
    assert lines[1].index("28.25") + 5 == lines[2].index("48.00") + 5 == lines[0].index("few") + 3
