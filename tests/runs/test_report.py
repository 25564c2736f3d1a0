import csv
import json

import pytest

from bbn_tf.errors import UserError
from bbn_tf.runs import csv_files, report, report_tables
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.plan import Plan
from tests.runs.test_tables import METRICS

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
    finished = {
        ("CE", "IF 10", 0): 21.0,
        ("CE", "IF 10", 1): 22.0,
        ("CE", "IF 10", 2): 26.0,
        ("CE", "IF 50", 1): 30.0,
        ("BBN", "IF 10", 0): 9.5,
    }
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


def test_different_images_are_named_by_column(plan):
    for run, metrics in [(run, RunFolder(run.folder).read_metrics()) for run in plan.runs()]:
        if metrics is not None:
            metrics["images"] = "other" if (run.row, run.column) == ("BBN", "IF 10") else "same"
            RunFolder(run.folder).write_metrics(metrics)
    text = report.report(plan)
    assert text.split("## IF 10")[1].startswith("\n\n**These runs saw 2 different sets of images")
    assert text.count("different sets") == 1


def test_csv_has_every_run_that_is_finished(plan):
    report.report(plan)
    with open(plan.folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [(row["row"], row["column"], row["seed"], row["top1_error"]) for row in rows]
    assert found == [
        ("CE", "IF 10", "0", "21.00"),
        ("CE", "IF 10", "1", "22.00"),
        ("CE", "IF 10", "2", "26.00"),
        ("CE", "IF 50", "1", "30.00"),
        ("BBN", "IF 10", "0", "9.50"),
    ]
    assert rows[0]["medium_error"] == "" and rows[0]["epoch"] == "200"


def newer(top1_error, **others):
    """metrics.json with the figures that older runs do not have, of a test set that is not balanced."""
    return {
        **METRICS["bbn"],
        **{"top1_error": top1_error, "epoch": 200, "calibration_error": 3.0, "balanced_error": top1_error + 10},
        **{"macro_f1": 70.0, "harmonic_mean_accuracy": 60.0, "worst_class": "one", "worst_class_error": 29.5},
        **{"eval_class_counts": [10, 5], "error_intervals": {"all": [15.25, 25.0], "medium": None}},
        **{"shifted_error": {"forward_50": 8.0, "uniform": 18.0, "backward_50": 28.0}},
        **others,
    }


def write_runs(plan, finished):
    for run in plan.runs():
        if (metrics := finished.get((run.row, run.column, run.seed))) is not None:
            run.folder.mkdir(parents=True, exist_ok=True)
            RunFolder(run.folder).metrics_file.write_text(json.dumps(metrics))


def test_report_of_newer_runs(plan):
    """Beside older ones of BBN and CE; LDAM's runs are of a test set that is not balanced."""
    write_runs(plan, {("LDAM", "IF 50", 0): newer(20.0), ("LDAM", "IF 50", 2): newer(22.0, macro_f1=72.0)})
    text = report.report(plan)
    table = lines_of(text.split("## ")[0])
    assert table["LDAM"] == ["", "balanced 31.00 ± 1.41, all 21.00 ± 1.41 (2)"]
    assert table["CE"] == ["23.00 ± 2.65 (3); paper 20.00, +3.00", "30.00 (1)"]
    section = text.split("## IF 50")[1]
    groups, shifted = section.split(report.SHIFTED)
    titles = ["balanced", "all", "many", "medium", "few", "calibration (ECE)", "macro-F1"]
    titles += ["harmonic mean of group accuracies", "worst class"]
    assert lines_of(groups)[""] == titles
    assert dict(zip(titles, lines_of(groups)["LDAM"], strict=True))["macro-F1"] == "71.00 ± 1.41"
    assert lines_of(groups)["CE"][:2] == ["", "30.00"] and lines_of(groups)["CE"][-3:] == ["", "", ""]
    assert lines_of(shifted)[""] == ["forward 50", "uniform", "backward 50"]
    assert lines_of(shifted)["LDAM"] == ["8.00 ± 0.00", "18.00 ± 0.00", "28.00 ± 0.00"]
    assert report.SHIFTED not in text.split("## IF 50")[0] and report.CONFUSED not in text
    with open(plan.folder / "results.csv", newline="") as file:
        rows = {(row["row"], row["seed"]): row for row in csv.DictReader(file)}
    newest = rows["LDAM", "2"]
    assert (newest["macro_f1"], newest["worst_class"], newest["shifted_forward_50"]) == ("72.00", "one", "8.00")
    assert rows["CE", "0"]["macro_f1"] == rows["CE", "0"]["shifted_uniform"] == ""


def test_seconds_of_training_end_the_table_of_groups(plan):
    write_runs(plan, {("CE", "IF 50", 1): newer(30.0, seconds=100.4), ("CE", "IF 50", 2): newer(30.0, seconds=103.4)})
    groups = lines_of(report.report(plan).split("## IF 50")[1].split(report.SHIFTED)[0])
    assert groups[""][:5] == ["balanced", "all", "many", "medium", "few"]
    assert (groups[""][-1], groups["CE"][-1]) == ("seconds", "102 ± 2")


def test_interval_of_a_single_run_and_classes_left_out(plan):
    left_out = newer(20.0, per_class_error=[20.0, None], class_names=["zero", "-one"])
    write_runs(plan, {("LDAM", "IF 50", 0): left_out})
    text = report.report(plan)
    assert lines_of(text.split("## IF 50")[1].split(report.SHIFTED)[0])["LDAM"][1] == "20.00 (15.2 - 25.0)"
    assert text.split("## ")[0].count("without a test image") == text.split("## IF 50")[1].count("'-one'") == 1
    assert "without a test image" not in text.split("## IF 10")[1].split("## IF 50")[0]
    with open(plan.folder / "results.csv", newline="") as file:
        assert [row["left_out_classes"] for row in csv.DictReader(file)][-1] == "'-one'"


def test_most_confused_pairs_over_the_seeds(plan):
    """Of class zero 4 + 1 of 15 + 5 images are taken for one; the ten most of many."""
    for seed, cells in ((0, {(0, 0): 11, (0, 1): 4, (1, 0): 1}), (2, {(0, 0): 4, (0, 1): 1, (1, 1): 2})):
        write_runs(plan, {("LDAM", "IF 50", seed): newer(20.0)})
        folder = next(r.folder for r in plan.runs() if (r.row, r.seed) == ("LDAM", seed))
        rows = [[true, "x", predicted, "x", count] for (true, predicted), count in cells.items()]
        csv_files.write(folder / "confusion.csv", ["class_id", "class", "predicted_id", "predicted", "count"], rows)
    section = report.report(plan).split("## IF 50")[1]
    assert "- LDAM: `zero` as `one` 5 (25.0 %), `one` as `zero` 1 (33.3 %)\n" in section.split(report.CONFUSED)[1]
    everything = {(i, j): 20 * i + j for i in range(5) for j in range(5)}
    pairs = report_tables.confused_pairs([(["a|b", "`c", "$d", "e\nf", "g"], everything)])
    assert len(pairs) == 10
    assert pairs[0] == "`g` as `e f` 83 (20.2 %)"
    assert pairs[1] == "`g` as `$d` 82 (20.0 %)" and pairs[2].startswith("`g` as `` `c `` 81")


def test_tables_stay_whole():
    assert report_tables.markdown_table([["", "a"], ["b|c\nd", "1"]]).splitlines()[-1] == "| b\\|c d | 1 |"


def test_report_of_nothing_and_of_damage(plan):
    first = next(iter(plan.runs()))
    RunFolder(first.folder).metrics_file.write_text("{")
    with pytest.raises(UserError, match="metrics.json: damaged"):
        report.report(plan)
    with pytest.raises(UserError, match="no run of .*plan.toml is finished there"):
        report.report(Plan(plan.path, plan.folder / "elsewhere"))


def test_pictures_of_the_plan_that_have_runs(plan):
    plan.pictures = [
        {"kind": "errors", "title": "E", "column": "IF 10"},
        {"kind": "errors", "title": "N", "rows": ["LDAM"]},
        {"kind": "norms", "title": "older runs have none"},
        {"kind": "error_by_alpha", "title": "plain models neither"},
    ]
    text = report.report(plan)
    assert "![E](1_errors.png)" in text and text.count("![") == 1
    assert [path.name for path in plan.folder.glob("*.png")] == ["1_errors.png"]


@pytest.mark.parametrize("kind", ["error_by_class", "norms"])
def test_runs_of_other_classes_share_no_axis(plan, kind, capsys):
    """Whoever has planned the picture; the report is written without it."""
    norms = {"classifier_norms": {"plain": [1.0, 2.0]}}
    write_runs(plan, {("CE", "IF 50", 1): newer(30.0, **norms), ("BBN", "IF 50", 0): newer(31.0, **norms)})
    plan.pictures = [{"kind": kind, "title": "By class", "column": "IF 50"}]
    assert report.report(plan).count("![") == 1 and "note:" not in capsys.readouterr().out
    write_runs(plan, {("BBN", "IF 50", 0): newer(31.0, class_counts=[110, 5], **norms)})
    assert "![" not in report.report(plan)
    said = "note: no picture 'By class', since the runs of IF 50 differ in their classes or class counts\n"
    assert said in capsys.readouterr().out


def test_without_a_plans_pictures_each_column_has_its_error_by_class():
    cells = {("CE", "A"): [{}, {}], ("BBN", "A"): [{}], ("CE", "B"): [{}], ("X", "C"): []}
    assert report.by_class(cells) == [
        {"kind": "error_by_class", "title": f"Error by class: {column}", "column": column} for column in "AB"
    ]


def test_tables_beside_pictures_by_hand():
    rows = {"CE + CE": [{"top1_error": 30.0}, {"top1_error": 34.0}], "RW + RS": [{"top1_error": 20.0}]}
    grid = lines_of(report_tables.grid_table(rows, ["CE", "RW"], ["CE", "RS"]))
    assert grid["classifier"] == ["CE features", "RW features"]
    assert grid["CE"] == ["32.00 ± 2.83 (2)", ""] and grid["RS"] == ["", "20.00 (1)"]
    norms = [{"classifier_norms": {"plain": [1.0, 3.0]}}, {"classifier_norms": {"plain": [2.0, 2.0]}}]
    assert lines_of(report_tables.norms_table({"CE": norms}))["CE"] == ["2.000 ± 0.000", "0.500 ± 0.707"]
    by_alpha = [{"error_by_alpha": {"0.0": 60.0, "1.0": 40.0}}, {"error_by_alpha": {"0.0": 62.0, "1.0": 40.0}}]
    assert lines_of(report_tables.alpha_table({"BBN": by_alpha}))["BBN"] == ["61.00 ± 1.41", "40.00 ± 0.00"]
