"""Two logical CPU devices, so that MirroredStrategy is tested anywhere; set before TensorFlow starts."""

import os

import bbn_tf  # noqa: F401  (sets TensorFlow's environment before its import)

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture
def make_config(tmp_path):
    """`Config` of a run of seconds on the digits, in a folder of its own; keyword arguments override."""
    from bbn_tf.config import Config

    def make(**settings):
        tiny = {
            "dataset": "digits_lt", "backbone": "resnet8", "epochs": 3, "lr_milestones": (2,), "warmup_epochs": 1,
            "global_batch_size": 32, "num_devices": 1, "model_dir": str(tmp_path / "run"),
        }  # fmt: skip
        return Config(**{**tiny, **settings})

    return make
