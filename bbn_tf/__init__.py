"""BBN: Bilateral-Branch Network with cumulative learning (arXiv:1912.02413) in Keras."""

import os

__version__ = "0.9.0"

# TensorFlow leaves its oneDNN kernels off on some processors; they are worth a factor of 1.7 in a
# training step. TensorFlow reads this once, when it is imported, so it is set before that.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notices, not its errors
