"""The runs that are kept under saved_models/: what is written about them is what they are."""

import csv
import pathlib

import numpy as np
import pytest

from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training.evaluation import Evaluator
from tests.data.test_datasets import prepared  # noqa: F401  (named in a condition)
from tests.in_process import run

ROOT = pathlib.Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "cifar100_test"
EXAMPLE = "cifar100_lt_if100_bbn"  # the run that README, docs and notebook predict with
LABELS = {  # in docs/results.md
    "cifar100_lt_if100_bbn": "BBN",
    "cifar100_lt_if100_ce": "plain, BBN's schedule",
    "cifar100_lt_if100_ce_ldam_schedule": "plain, LDAM's schedule",
    "cifar100_lt_if100_ldam_drw_ldam_schedule": "LDAM-DRW, LDAM's schedule",
    "cifar100_lt_if100_bbn_cpu": "BBN, with TensorFlow on two CPU cores",
    "cifar100_lt_if100_bbn_50epochs": "BBN",
    "cifar100_lt_if100_ce_50epochs": "plain",
}
PAPER = {"bbn": "57.44", "ce": "61.68", "ldam": "57.96"}  # its Table 1, CIFAR-100 at imbalance factor 100
CLOSE = 1e-3  # of a probability, between processors


def tables(page):
    """Cells of a Markdown page's table rows, without emphasis."""
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|")]
    return [[cell.strip().strip("*`") for cell in line.strip("|").split("|")] for line in lines]


def of_the_paper(name):
    return PAPER[name.removeprefix("cifar100_lt_if100_").split("_")[0]]


def test_the_table_names_all_of_them_and_no_other():
    rows = [row[0] for row in tables(ROOT / "saved_models" / "README.md") if row[0].startswith("[")]
    assert rows == [f"[{name}]({name})" for name in LABELS]


@pytest.mark.parametrize("name", LABELS)
def test_the_table_says_what_the_files_say(name):
    folder = ROOT / "saved_models" / name
    metrics, history = RunFolder(folder).read_metrics(), RunFolder(folder).read_history()
    (row,) = [row for row in tables(ROOT / "saved_models" / "README.md") if row[0] == f"[{name}]({name})"]
    errors = [f"{metrics[f'{group}_error']:.2f}" for group in ("top1", "many", "medium", "few")]
    assert row[1:6] == [of_the_paper(name), *errors]
    assert row[6] == str(metrics["epoch"]) == history[-1]["epoch"]
    hours = sum(float(epoch["seconds"]) for epoch in history) / 3600
    assert row[7] == f"{hours:.{len(row[7].partition('.')[2])}f}" and "." in row[7]
    flags = (folder / "flags.txt").read_text()
    assert f"--epochs={metrics['epoch']}\n" in flags and "--seed=0\n" in flags


def test_the_pretrained_network_is_what_the_page_says():
    metrics = RunFolder(ROOT / "saved_models/finetune_rates/pretrained/cifar_100_balanced/seed0").read_metrics()
    said = f"{metrics['top1_error']:.2f} % error (seed 0, float32, {metrics['seconds'] / 60:.0f} minutes"
    assert said in (ROOT / "saved_models" / "README.md").read_text("utf-8")
    assert (metrics["epoch"], metrics["num_train"], len(metrics["class_counts"])) == (20, 50_000, 100)


def test_docs_repeat_the_comparison_with_a_pretrained_network():
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    section = text[text.index("## A pretrained network: does it help?") :]
    methods = sorted((ROOT / "saved_models" / "finetune").glob("*/cifar_10_if_100"))
    assert len(methods) == 8
    for method in methods:
        runs = [RunFolder(method / f"seed{seed}") for seed in (0, 1)]
        both = [run.read_metrics() for run in runs]
        intervals = [figures["error_intervals"]["all"] for figures in both]
        cells = [
            f"{figures['top1_error']:.2f} ({low:.1f} - {high:.1f})"
            for figures, (low, high) in zip(both, intervals, strict=True)
        ]
        for group in ("many_error", "medium_error"):
            cells.append(", ".join(f"{figures[group]:.2f}" for figures in both))
        seconds = [sum(float(epoch["seconds"]) for epoch in run.read_history()) for run in runs]
        cells.append(", ".join(f"{time / 60:.0f}" for time in seconds))
        assert f"| {' | '.join(cells)} |" in section, method


def minutes(kept):
    return f"{sum(float(epoch['seconds']) for epoch in kept.read_history()) / 60:.0f} min"


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("here, 200 epochs", ("bbn", "ce")),
        ("here, the same with TensorFlow", ("bbn_cpu",)),
        ("here, a quarter", ("bbn_50epochs", "ce_50epochs")),
    ],
)
def test_readme_repeats_it(row, names):
    (cells,) = [cells for cells in tables(ROOT / "README.md") if cells[0].startswith(row)]
    kept = [RunFolder(ROOT / "saved_models" / f"cifar100_lt_if100_{name}") for name in names]
    said = [f"{run.read_metrics()['top1_error']:.2f} ({minutes(run)})" for run in kept]
    assert [cell.replace("*", "") for cell in cells[1:] if cell] == said


@pytest.mark.parametrize("name", LABELS)
def test_the_results_repeat_it(name):
    """Error, groups, time; by alpha, where the run is BBN's."""
    kept = RunFolder(ROOT / "saved_models" / name)
    figures = kept.read_metrics()
    title = {200: "the whole schedule", 50: "a QUARTER of the schedule"}[figures["epoch"]]
    text = (ROOT / "docs" / "results.md").read_text("utf-8").replace("**", "")
    section = text[text.index(f"imbalance factor 100, {title}") :].split("\n## ")[0]
    groups = [f"{figures[f'{group}_error']:.2f}" for group in ("many", "medium", "few")]
    low, high = figures["error_intervals"]["all"]
    interval = [f"{low:.1f} - {high:.1f}"] if "95 % interval |" in section else []
    cells = [LABELS[name], f"{figures['top1_error']:.2f}", *interval, *groups, of_the_paper(name), minutes(kept)]
    assert f"\n| {' | '.join(cells)} |\n" in section
    if "error_by_alpha" in figures:
        by_alpha = figures["error_by_alpha"].values()
        assert f"| {' | '.join(f'{error:.2f}' for error in by_alpha)} |\n" in section


def test_the_results_name_the_best_evaluated_epochs():
    """As the published code reports; here they are named beside the last one's."""
    section = (ROOT / "docs" / "results.md").read_text("utf-8").replace("\n", " ")
    best = []
    for name in [name for name in LABELS if "_50epochs" not in name]:
        history = RunFolder(ROOT / "saved_models" / name).read_history()
        evaluated = [(float(epoch["top1_error"]), epoch["epoch"]) for epoch in history if epoch["top1_error"]]
        assert len(evaluated) == 20
        lowest = min(error for error, _ in evaluated)
        epochs = ["the last" if epoch == "200" else epoch for error, epoch in evaluated if error == lowest]
        best.append(f"{lowest:.2f} ({' and '.join(epochs)})")
    assert f"{', '.join(best[:3])} and {best[3]}." in section
    assert best[4] == "58.24 (the last)" and "its best was the last, too" in section


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return {pathlib.Path(row["file"]).name: row for row in csv.DictReader(file)}


def test_the_kept_pictures_are_classified_as_recorded(tmp_path):
    arguments = ("--mode=predict", f"--model_dir={ROOT / 'saved_models' / EXAMPLE}", f"--images={PICTURES}")
    assert run(*arguments, f"--output={tmp_path / 'predictions.csv'}") == (0, "")
    seen, recorded = read(tmp_path / "predictions.csv"), read(PICTURES / "predictions.csv")
    assert seen.keys() == recorded.keys() and len(seen) == 12
    right = [name for name in sorted(recorded) if name == f"{name[:2]}_{recorded[name]['class']}.png"]
    assert right == sorted(recorded)[:6]  # as README says
    for name, row in recorded.items():
        assert seen[name]["class"] == row["class"]
        for rank in ("", "_2", "_3"):
            assert float(seen[name][f"probability{rank}"]) == pytest.approx(float(row[f"probability{rank}"]), abs=CLOSE)


@pytest.mark.skipif("not prepared('cifar100')")
@pytest.mark.parametrize("name", [EXAMPLE, "cifar100_lt_if100_ce"])  # the two of the README's picture
def test_the_recorded_error_is_found_again(name, optimised):
    """On all test images; the training images are not read, which would take as long."""
    import tensorflow_datasets as tfds

    run = RunFolder(ROOT / "saved_models" / name)
    recorded = run.read_metrics()
    (test,) = tfds.builder("cifar100").as_dataset(split="test", batch_size=10_000).as_numpy_iterator()
    train_labels = np.repeat(np.arange(100), recorded["class_counts"])
    unseen = np.broadcast_to(np.uint8(0), [len(train_labels), 32, 32, 3])
    parts = (unseen, train_labels, test["image"], test["label"])
    dataset = ImageDataset(*parts, tuple(recorded["class_names"]), recorded["mean"], recorded["std"])
    found = Evaluator(build.load_model(run), dataset)()
    assert found["top1_error"] == pytest.approx(recorded["top1_error"], abs=0.1)
    np.testing.assert_allclose(found["per_class_error"], recorded["per_class_error"], atol=2)  # of 100 images
