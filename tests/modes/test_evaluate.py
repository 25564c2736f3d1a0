"""What an evaluation writes: the figures' two CSV files, of a training and of --mode=evaluate."""

import csv
import pathlib

import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.modes import build, evaluate, train
from bbn_tf.runs.folder import RunFolder
from tests.image_files import write_two_trees

pytestmark = pytest.mark.usefixtures("without_summaries")


def read(folder, name):
    with open(pathlib.Path(folder) / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def assert_tables_are(folder, metrics, labels):
    """The rows of both files add up to the figures of metrics.json."""
    images, pairs = read(folder, "evaluation.csv"), read(folder, "confusion.csv")
    assert [int(row["class_id"]) for row in images] == list(labels)
    names = metrics["class_names"]
    for row in images + pairs:
        assert (names[int(row["class_id"])], names[int(row["predicted_id"])]) == (row["class"], row["predicted"])
    wrong = np.array([row["class_id"] != row["predicted_id"] for row in images])
    assert 100 * wrong.mean() == pytest.approx(metrics["top1_error"])
    confidence = np.array([float(row["probability"]) for row in images])
    assert 1 / len(names) <= confidence.min() and confidence.max() <= 1
    counted = np.zeros((len(names), len(names)), int)
    for row in pairs:
        counted[int(row["class_id"]), int(row["predicted_id"])] = int(row["count"])
    assert (counted > 0).sum() == len(pairs) and counted.sum() == len(images)
    expected = [100 * (1 - counted[i, i] / counted[i].sum()) for i in range(len(names))]
    assert expected == pytest.approx(metrics["per_class_error"])
    return images


def test_a_training_on_files_writes_both_and_overwrite_removes_them(make_config, tmp_path):
    root = write_two_trees(tmp_path / "photos")
    files = {"dataset": "folder", "data_dir": str(root), "image_size": 16, "global_batch_size": 12}
    config = make_config(model="plain", epochs=1, lr_milestones=(), eval_every=0, **files)
    metrics = train.train_and_evaluate(config)
    rows = assert_tables_are(config.model_dir, metrics, [0] * 4 + [1] * 4 + [2] * 4)
    paths = [pathlib.Path(row["file"]) for row in rows]
    assert all(path.is_file() for path in paths) and [path.parent.name for path in paths] == [r["class"] for r in rows]
    assert metrics["eval_group_counts"] == {"all": 12, "many": 0, "medium": 4, "few": 8}
    assert metrics["error_intervals"]["many"] is None and metrics["worst_class"] in ("ant", "bee", "cat")
    run = RunFolder(config.model_dir)
    run.prepare(config.settings(), overwrite=True)
    assert not (run.path / "evaluation.csv").exists() and not (run.path / "confusion.csv").exists()


def test_a_second_stage_names_the_images_not_their_features(finished_run, tmp_path):
    first = finished_run().model_dir
    config = Config(mode="probe", from_run=first, classifier="tau_norm", model_dir=str(tmp_path / "run"), num_devices=1)
    metrics = train.train_and_evaluate(config)
    rows = assert_tables_are(config.model_dir, metrics, build.dataset(config).eval_labels)
    assert [row["index"] for row in rows] == [str(i) for i in range(600)]


def evaluated(config, **settings):
    return evaluate.evaluate(config.replace(mode="evaluate", **{"num_devices": 1, **settings}))


def test_evaluate_writes_only_where_it_is_told_to(finished_run, tmp_path, capsys):
    config = finished_run()
    before = sorted(pathlib.Path(config.model_dir).iterdir())
    figures = evaluated(config)
    assert sorted(pathlib.Path(config.model_dir).iterdir()) == before
    evaluated(config, output=str(tmp_path / "new" / "folder"))
    metrics = RunFolder(config.model_dir).read_metrics()
    assert_tables_are(tmp_path / "new" / "folder", metrics, build.dataset(config).eval_labels)
    assert metrics["shifted_error"] == figures["shifted_error"]
    assert "evaluation.csv and confusion.csv written" in capsys.readouterr().out


def test_any_number_of_devices_evaluates_what_was_trained_on_others(finished_run):
    """128 images a step are not divisible by 3, and mixup's pairs need an even number only to be trained."""
    config = finished_run()
    figures = evaluated(config, num_devices=3)
    assert figures["top1_error"] == RunFolder(config.model_dir).read_metrics()["top1_error"]
    training = {"global_batch_size": 6, "model": "plain", "mixup": "input", "model_dir": "x"}
    build.strategy(Config(mode="evaluate", num_devices=2, **training))
    with pytest.raises(UserError, match="--global_batch_size=6: mixup needs an even number a replica"):
        build.strategy(Config(num_devices=2, **training))


def test_an_output_that_cannot_be_written_is_refused_before_any_work(finished_run, tmp_path, monkeypatch):
    config = finished_run()
    monkeypatch.setattr(build, "dataset", lambda config: pytest.fail("began to work"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^--output=.*file: is a file; must be a folder to write evaluation.csv"):
        evaluated(config, output=str(tmp_path / "file"))
    (tmp_path / "confusion.csv").write_text("mine")
    with pytest.raises(UserError, match=r"^--output=.*confusion.csv: already exists; .* with --overwrite$"):
        evaluated(config, output=str(tmp_path))
    assert (tmp_path / "confusion.csv").read_text() == "mine"


def test_overwrite_replaces_them_and_figures_of_an_older_run_are_not_called_others(finished_run, tmp_path, capsys):
    """Its metrics.json lacks the newer ones."""
    config = finished_run()
    (tmp_path / "confusion.csv").write_text("old")
    run = RunFolder(config.model_dir)
    metrics = run.read_metrics()
    newer = ("macro_f1", "worst_class_error", "worst_class", "shifted_error", "error_intervals", "eval_class_counts")
    try:
        run.write_metrics({name: value for name, value in metrics.items() if name not in newer})
        evaluated(config, output=str(tmp_path), overwrite=True)
    finally:
        run.write_metrics(metrics)
    assert "holds other figures" not in capsys.readouterr().out
    assert read(tmp_path, "confusion.csv")[0]["count"].isdigit()
