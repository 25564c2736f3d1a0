import csv
import json

import pytest

from bbn_tf.errors import UserError
from bbn_tf.runs import report
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.plan import Plan

METRICS = {
    "bbn": {"top1_error": 18.0, "many_error": 6.5, "medium_error": None, "few_error": 28.25, "conventional_error": 30.0,
            "rebalancing_error": 70.0, "per_class_error": [6.5, 29.5], "class_counts": [110, 4],
            "class_names": ["zero", "one"]},
    "plain": {"top1_error": 24.0, "many_error": 0.0, "medium_error": None, "few_error": 48.0,
              "per_class_error": [0.0, None], "class_counts": [110, 4], "class_names": ["zero", "one"]},
}  # fmt: skip


PLAN = """
title = "A table"
seeds = [0, 1, 2]
[columns]
"IF 10" = []
"IF 50" = []
[rows.CE]
flags = []
paper = {"IF 10" = 20.0}
[rows.BBN]
flags = []
paper = {"IF 10" = 10.0, "IF 50" = 15.25}
[rows.LDAM]
flags = []
columns = ["IF 50"]
"""


@pytest.fixture
def plan(tmp_path):
    """A plan of which CE has three runs at IF 10 and one at IF 50, BBN one at IF 10, LDAM none."""
    (tmp_path / "plan.toml").write_text(PLAN)
    plan = Plan(tmp_path / "plan.toml", tmp_path / "runs")
    finished = {("CE", "IF 10", 0): 21.0, ("CE", "IF 10", 1): 22.0, ("CE", "IF 10", 2): 26.0, ("CE", "IF 50", 1): 30.0,
                ("BBN", "IF 10", 0): 9.5}  # fmt: skip
    for run in plan.runs():
        if (error := finished.get((run.row, run.column, run.seed))) is not None:
            run.folder.mkdir(parents=True)
            metrics = {**METRICS["bbn"], "top1_error": error, "epoch": 200, "calibration_error": 3.0}
            RunFolder(run.folder).metrics_file.write_text(json.dumps(metrics))
    return plan


def lines_of(text):
    """dict first cell -> list of the others, of every line of the text's tables; dict of the last table wins."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {cells[0]: cells[1:] for cells in rows}


def test_report_by_hand(plan):
    """Mean 23, sample standard deviation sqrt((4 + 1 + 9) / 2) = 2.65; a cell without runs has the paper's figure."""
    text = report.report(plan)
    assert (plan.folder / "results.md").read_text() == text and text.startswith("# A table\n")
    table = text.split("## ")[0]
    assert lines_of(table)["CE"] == ["23.00 ± 2.65 (3); paper 20.00, +3.00", "30.00 (1)"]
    assert lines_of(table)["BBN"] == ["9.50 (1); paper 10.00, -0.50", "paper 15.25"]
    assert lines_of(table)["LDAM"] == ["", ""]
    groups = text.split("## IF 10")[1].split("## ")[0]
    assert lines_of(groups)["CE"] == ["23.00 ± 2.65", "6.50 ± 0.00", "", "28.25 ± 0.00", "3.00 ± 0.00"]
    assert "LDAM" not in lines_of(groups)


def test_csv_has_every_run_that_is_finished(plan):
    report.report(plan)
    with open(plan.folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(row["row"], row["column"], row["seed"], row["top1_error"]) for row in rows]
    assert found == [("CE", "IF 10", "0", "21.00"), ("CE", "IF 10", "1", "22.00"), ("CE", "IF 10", "2", "26.00"),
                     ("CE", "IF 50", "1", "30.00"), ("BBN", "IF 10", "0", "9.50")]  # fmt: skip
    assert rows[0]["medium_error"] == "" and rows[0]["epoch"] == "200"


def test_report_of_nothing_and_of_damage(plan):
    first = next(iter(plan.runs()))
    RunFolder(first.folder).metrics_file.write_text("{")
    with pytest.raises(UserError, match="metrics.json: damaged"):
        report.report(plan)
    with pytest.raises(UserError, match="no run of .*plan.toml is finished there"):
        report.report(Plan(plan.path, plan.folder / "elsewhere"))


def test_pictures_of_the_plan_that_have_runs(plan):
    plan.pictures = [
        {"kind": "errors", "title": "E", "column": "IF 10"}, {"kind": "errors", "title": "N", "rows": ["LDAM"]},
        {"kind": "norms", "title": "older runs have none"}, {"kind": "error_by_alpha", "title": "plain models neither"},
    ]  # fmt: skip
    text = report.report(plan)
    assert "![E](1_errors.png)" in text and text.count("![") == 1
    assert [path.name for path in plan.folder.glob("*.png")] == ["1_errors.png"]


def test_tables_beside_pictures_by_hand():
    rows = {"CE + CE": [{"top1_error": 30.0}, {"top1_error": 34.0}], "RW + RS": [{"top1_error": 20.0}]}
    grid = lines_of(report.grid_table(rows, ["CE", "RW"], ["CE", "RS"]))
    assert grid["classifier"] == ["CE features", "RW features"]
    assert grid["CE"] == ["32.00 ± 2.83 (2)", ""] and grid["RS"] == ["", "20.00 (1)"]
    norms = [{"classifier_norms": {"plain": [1.0, 3.0]}}, {"classifier_norms": {"plain": [2.0, 2.0]}}]
    assert lines_of(report.norms_table({"CE": norms}))["CE"] == ["2.000 ± 0.000", "0.500 ± 0.707"]
    by_alpha = [{"error_by_alpha": {"0.0": 60.0, "1.0": 40.0}}, {"error_by_alpha": {"0.0": 62.0, "1.0": 40.0}}]
    assert lines_of(report.alpha_table({"BBN": by_alpha}))["BBN"] == ["61.00 ± 1.41", "40.00 ± 0.00"]
