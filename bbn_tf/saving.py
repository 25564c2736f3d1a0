"""Registers every class of a run's `model.keras` with Keras, optimizer and loss included.

After `import bbn_tf.saving`, `keras.models.load_model("saved_models/RUN/model.keras")` loads it anywhere.
"""

from bbn_tf.models import layers, models
from bbn_tf.training import cross_entropy, optimizers

__all__ = ["cross_entropy", "layers", "models", "optimizers"]
