"""Importing this module registers every class that a model.keras names, so that plain Keras loads it.

import bbn_tf.saving
import keras

model = keras.models.load_model("saved_models/RUN/model.keras")
"""

from bbn_tf.models import bbn, layers, plain
from bbn_tf.training import cross_entropy, sgd, trunk_rate

__all__ = ["bbn", "cross_entropy", "layers", "plain", "sgd", "trunk_rate"]
