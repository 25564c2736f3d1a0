"""A network of three convolutions, for tests in which the network does not matter: TensorFlow traces it in a second.

One of three stages is there for the mixup of any of them.

`python -m tests.tiny ARGUMENTS` is main.py with it, and without what TensorBoard shows.
"""

import multiprocessing
import os
import signal
import time

import pytest

from bbn_tf import startup
from bbn_tf.choices import Choice
from bbn_tf.models.backbones import BACKBONES

JAX = {  # environment of a process on JAX: what it compiles is compiled fast, and once for all of them
    "KERAS_BACKEND": "jax",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
PAUSE = "PAUSE_BEFORE"  # environment variable: name of a file

KIND = {"large_images": False, "projection": False, "fan": "fan_in"}
for name, widths in (("tiny", (8,)), ("tiny_stages", (2, 2, 2))):
    sizes = {"blocks_per_stage": (1,) * len(widths), "widths": widths}
    BACKBONES[name] = Choice("bbn_tf.models.resnet:ResNet", arguments={**sizes, **KIND})


def optimise(wanted):
    """Whether TensorFlow optimises graphs, as in main.py, which takes a third of a training of seconds."""
    with startup.held_back():
        import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not wanted})


def without_summaries(patch):
    """No event file: it costs as much time as a short training. `patch` is a `pytest.MonkeyPatch`."""
    from bbn_tf.modes import build

    patch.setattr(build, "summaries", lambda config, run, measure: [])


def pause_before(name, patch):
    """Waits, when a file of that name is written but not yet in its place, for a signal or for NAME.go beside it."""
    replace, tests = os.replace, multiprocessing.parent_process()

    def pausing(source, target):
        if os.path.basename(target) == name:
            while not os.path.exists(f"{target}.go") and tests.is_alive():
                time.sleep(0.01)
        replace(source, target)

    patch.setattr(os, "replace", pausing)


if __name__ == "__main__":
    from bbn_tf.__main__ import program

    optimise(False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs would ignore
    with pytest.MonkeyPatch.context() as patch:
        without_summaries(patch)
        if PAUSE in os.environ:
            pause_before(os.environ[PAUSE], patch)
        program()
