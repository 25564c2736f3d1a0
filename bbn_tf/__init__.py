"""BBN: Bilateral-Branch Network with cumulative learning (arXiv:1912.02413) in Keras.

The names below are imported when they are first used, so that `import bbn_tf` imports neither Keras nor TensorFlow and
changes nothing in them; see docs/python.md.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from bbn_tf.api.networks import build_bbn as build_bbn
    from bbn_tf.api.networks import inference_model as inference_model
    from bbn_tf.api.networks import register_backbone as register_backbone
    from bbn_tf.api.runs import TrainedRun as TrainedRun
    from bbn_tf.api.runs import load_run as load_run
    from bbn_tf.api.runs import train_and_evaluate as train_and_evaluate
    from bbn_tf.api.streams import Streams as Streams
    from bbn_tf.api.streams import streams as streams
    from bbn_tf.config import Config as Config
    from bbn_tf.errors import UserError as UserError
    from bbn_tf.training.callbacks import CumulativeLearning as CumulativeLearning

__version__ = "0.9.0"

_MODULES = {
    "build_bbn": "bbn_tf.api.networks",
    "inference_model": "bbn_tf.api.networks",
    "register_backbone": "bbn_tf.api.networks",
    "TrainedRun": "bbn_tf.api.runs",
    "load_run": "bbn_tf.api.runs",
    "train_and_evaluate": "bbn_tf.api.runs",
    "Streams": "bbn_tf.api.streams",
    "streams": "bbn_tf.api.streams",
    "Config": "bbn_tf.config",
    "UserError": "bbn_tf.errors",
    "CumulativeLearning": "bbn_tf.training.callbacks",
}
__all__ = [*_MODULES]


if not typing.TYPE_CHECKING:  # for a type checker there would be no wrong name

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
