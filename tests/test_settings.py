"""What `Config` takes from Python: the flags' values in Python's own types."""

import pathlib

import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.errors import UserError


def test_what_stands_for_the_settings_type_is_converted(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = Config(
        lr_milestones=[60, np.int64(80)],
        epochs=np.int64(100),
        learning_rate=1,
        momentum=np.float64(0.5),
        model_dir=pathlib.Path("~/runs/one"),
        dataset="folder",
        data_dir="~/photos",
        test_fraction=0.2,
    )
    assert (config.lr_milestones, config.epochs, config.momentum) == ((60, 80), 100, 0.5)
    assert type(config.learning_rate) is float and type(config.epochs) is type(config.lr_milestones[1]) is int
    assert (config.model_dir, config.data_dir) == ("/home/me/runs/one", "/home/me/photos")
    assert config.settings()["lr_milestones"] == "60,80"
    assert Config(lr_milestones=[]).settings()["lr_milestones"] == ""
    assert config.replace(seed=1).data_dir == "/home/me/photos"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rat": 1}, r"learning_rat=1: there is no such setting \(similar: learning_rate"),
        ({"epochs": "100"}, "epochs='100': must be a whole number$"),
        ({"epochs": 10.0}, "epochs=10.0: must be a whole number$"),
        ({"epochs": True}, "epochs=True: must be a whole number$"),
        ({"learning_rate": "0.1"}, "learning_rate='0.1': must be a number$"),
        ({"mixed_precision": "True"}, "mixed_precision='True': must be True or False$"),
        ({"dataset": ["digits_lt"]}, r"dataset=\['digits_lt'\]: must be a text$"),
        ({"model_dir": 3}, "model_dir=3: must be a text$"),
        ({"lr_milestones": "60,80"}, "lr_milestones='60,80': must be a list of whole numbers$"),
        ({"lr_milestones": [60.5]}, r"lr_milestones=\[60.5\]: must be a list of whole numbers$"),
        ({"tfds_splits": "train"}, "tfds_splits='train': must be a list of texts$"),
    ],
)
def test_another_type_or_name_is_one_line(given, message):
    with pytest.raises(UserError, match=f"^{message}"):
        Config(**given)
