"""What the programs of tests/forked.py find imported: all but Keras, whose backend each of them chooses, and ours."""

import os
import sys

for name in ("KERAS_BACKEND", "KERAS_HOME"):  # of a test, which is the first that starts such a program
    os.environ.pop(name, None)

import bbn_tf.__main__  # noqa: E402, F401  (sets TensorFlow's environment before its import)

import tensorflow  # noqa: E402, F401  isort:skip

for name in [name for name in sys.modules if name.partition(".")[0] in ("keras", "bbn_tf")]:
    del sys.modules[name]
