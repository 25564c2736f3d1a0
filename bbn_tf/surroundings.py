"""What surrounds the program: TensorFlow's and Keras's own settings, and what the output can show.

Only the program itself asks for this; importing the package in another one changes nothing there.
"""

import json
import os
import sys
import warnings

from bbn_tf import startup
from bbn_tf.errors import UserError

BACKENDS = ("tensorflow", "jax")


def settle_tensorflow():
    """Sets what TensorFlow reads once, when it is imported; variables that the user has set win.

    TensorFlow leaves its oneDNN kernels off on some processors; they are worth a factor of 1.7 in a training step.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notices, not its errors


def check_keras():
    """Refuses a Keras that the program does not run on, before it is imported.

    Raises:
        UserError: names the variable or the file that says so.
    """
    legacy = os.environ.get("TF_USE_LEGACY_KERAS")
    if legacy in ("1", "true", "True"):  # the values that TensorFlow looks for
        raise UserError(f"TF_USE_LEGACY_KERAS={legacy}: the program needs Keras 3; unset it")
    name, where = backend()
    if name not in BACKENDS:
        raise UserError(f"{where}: must be {' or '.join(BACKENDS)}")


def backend():
    """The backend that Keras takes, and the setting to name for it: ("jax", "KERAS_BACKEND=jax")."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, f"KERAS_BACKEND={name}"
    name = _keras_file().get("backend", BACKENDS[0])
    return name, f'"backend": {json.dumps(name)} in {_keras_path()}'


def _keras_path():
    """Of Keras's settings, as Keras finds them."""
    home = os.environ.get("KERAS_HOME")
    if home is None:
        base = os.path.expanduser("~")
        home = os.path.join(base if os.access(base, os.W_OK) else "/tmp", ".keras")
    return os.path.expanduser(os.path.join(home, "keras.json"))


def _keras_file():
    """Its content as a dict; empty without one, or with one that Keras does not take for JSON either."""
    try:
        with open(_keras_path()) as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def settle_keras():
    """Imports Keras and TensorFlow, and sets what the networks here rely on, whatever `keras.json` says.

    Raises:
        UserError: Keras refuses the file.
    """
    try:
        with startup.held_back():
            import keras
            import tensorflow  # which also reads the images for Keras on JAX

            gpus = tensorflow.config.list_physical_devices("GPU")  # the first use of a device, which it comments on
    except ImportError as error:
        name, where = backend()
        raise UserError(f"{where}: the package {name} can't be imported ({error}); install it with pip") from error
    except (ValueError, TypeError, AttributeError) as error:  # what an impossible value makes Keras raise
        raise UserError(f"{_keras_path()}: Keras can't be imported with it ({error})") from error
    if backend()[0] == "jax":  # its integers have 32 bits, which hold every label; JAX 0.11 warns of it
        warnings.filterwarnings("ignore", "Explicitly requested dtype int64", UserWarning)
    elif warning := startup.unused_gpu(gpus):
        print(warning, file=sys.stderr)
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def show_any_text():
    """Lets the output show what its encoding (Latin-1, ASCII) lacks as an escape, as errors are shown anyway."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
