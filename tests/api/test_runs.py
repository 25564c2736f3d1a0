import shutil

import numpy as np
import pytest

import bbn_tf
from bbn_tf.modes import build
from tests.api.test_docs import BLOCKS


def test_a_run_answers_for_images_as_they_are(finished_run, tmp_path, monkeypatch, capsys):
    """By the lines of docs/python.md, which find the run finished already."""
    config = finished_run(backbone="resnet8")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(config.model_dir, tmp_path / "run")
    lines = {"bbn_tf": bbn_tf}
    exec(BLOCKS[5], lines)
    run, classifier, error = lines["run"], lines["classifier"], lines["metrics"]["top1_error"]
    finished, last = capsys.readouterr().out.splitlines()[-2:]
    assert "run: already finished" in finished and last == f"{error} {tuple('0123456789')}"
    data = build.dataset(config)
    wrong = classifier.predict(data.eval_items, verbose=0).argmax(axis=1) != data.eval_labels
    assert 100 * np.mean(wrong) == pytest.approx(error, abs=100 / 600 + 1e-6)  # of 600 images one
    assert run.metrics["class_counts"][0] == 110


def test_no_run(tmp_path):
    with pytest.raises(bbn_tf.UserError, match=f"^--model_dir={tmp_path}: has no metrics.json; train it to the end"):
        bbn_tf.load_run(tmp_path)


@pytest.mark.parametrize("settings", [{"mode": "probe", "from_run": "run"}, {"mode": "evaluate", "model_dir": "run"}])
def test_other_modes_are_the_commands(settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mode = settings["mode"]
    message = f"^mode='{mode}': must be 'train' from Python; for this one run bbn-tf --mode={mode}$"
    with pytest.raises(bbn_tf.UserError, match=message):
        bbn_tf.train_and_evaluate(bbn_tf.Config(**settings))
    assert not list(tmp_path.iterdir())
