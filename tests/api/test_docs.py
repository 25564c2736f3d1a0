"""The lines of docs/python.md, on TensorFlow and, those for arrays, on JAX."""

import importlib.util
import pathlib
import re

import keras
import numpy as np
import pytest

from bbn_tf.models.backbones import BACKBONES
from tests import forked, tiny
from tests.image_files import write_tree

ROOT = pathlib.Path(__file__).parents[2]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text(), re.MULTILINE | re.DOTALL)


def settings():
    return keras.config.backend(), keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon()


def test_every_block_runs_and_changes_no_setting_of_keras(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "photos", {"ant": 18, "bee": 6})  # every third is a .jpg
    before, lines, found = settings(), {}, set(BACKBONES)
    try:
        exec(BLOCKS[0], lines)
        assert lines["logits"].shape == (150, 3) and np.isfinite(lines["logits"]).all()
        assert lines["model"].history.history["alpha"] == [1.0, 0.75]
        header, *rows = (tmp_path / "history.csv").read_text().splitlines()
        assert header.startswith("epoch,alpha,") and len(rows) == 2
        exec(BLOCKS[1], lines)
        validate, logs = lines["callbacks"][1], {}
        validate.set_model(lines["model"])
        validate.on_epoch_end(0, logs)
        assert logs["val_accuracy"] == np.mean(lines["logits"].argmax(axis=1) == lines["labels"])
        for block in BLOCKS[2:5]:
            exec(block, lines)
        assert lines["labels_of_paths"] == [0] * 6 + [1] * 2
        assert lines["model"].get_layer("rebalancing_block").get_layer("last_conv")
        assert "note: 150 images of 16 x 16 pixels read into memory: 0.1 MB" in capsys.readouterr().out
    finally:
        for name in set(BACKBONES) - found:
            del BACKBONES[name]
    assert len(BLOCKS) == 6 and settings() == before  # the sixth: see test_runs.py


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_arrays_on_jax(tmp_path):
    program = BLOCKS[0] + "\nprint(keras.backend.backend(), logits.shape, model.history.history['alpha'])"
    process = forked.run("-c", program, cwd=tmp_path, **tiny.JAX, JAX_PLATFORMS="cpu")
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-1] == "jax (150, 3) [1.0, 0.75]"
