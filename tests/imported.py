"""What the programs of tests/forked.py find imported: all but Keras, whose backend each of them chooses, and ours."""

import os
import sys

os.environ.pop("KERAS_HOME", None)  # of the test that starts the first of them
os.environ["KERAS_BACKEND"] = "tensorflow"

import bbn_tf.__main__  # noqa: E402, F401  (sets TensorFlow's environment before its import)

import tensorflow  # noqa: E402, F401  isort:skip

for name in [name for name in sys.modules if name.partition(".")[0] in ("keras", "bbn_tf")]:
    del sys.modules[name]
