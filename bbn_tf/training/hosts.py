"""Training on several hosts: one process each, on Keras's JAX backend, that share every batch.

What is computed is what one process computes: JAX splits each global batch over the devices of all hosts, BatchNorm's
statistics included.  Host 0 reads checkpoints and writes all files; the others need no folder of the run.
"""

import atexit
import contextlib
import os
import signal
import sys
import zlib

import numpy as np

from bbn_tf import surroundings
from bbn_tf.choices import START, Setting
from bbn_tf.errors import UserError

GONE_AFTER = 20  # seconds without a sign of life after which a host counts as lost
START_WITHIN = 300  # seconds
NOTHING = b"."
LOST = "another host was lost; start the same commands again on all hosts, finished epochs are kept"
# How XLA's collective operations and JAX's coordination service begin to say so.
SIGNS = ("Gloo", "NCCL", "nccl", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "oordination service")


def _together(value, values):
    """That the three settings come together, with the backend that can do it."""
    names = ("coordinator", "num_hosts", "host_index")
    given = [name for name in names if values[name] is not None]
    lacking = [name for name in names if values[name] is None]
    if not given:
        return None
    if lacking:
        return f"--{given[0]}={values[given[0]]}: needs --{lacking[0]} too"
    if surroundings.backend()[0] != "jax":
        return (
            f"--num_hosts={values['num_hosts']}: Keras can't train on several hosts with its TensorFlow backend; set "
            "KERAS_BACKEND=jax, or leave out --coordinator, --num_hosts and --host_index"
        )
    host, _, port = values["coordinator"].rpartition(":")
    return None if host and port.isdecimal() and 0 < int(port) < 2**16 else "must be HOST:PORT of host 0"


def _num_hosts(value, values):
    if value is None:
        return None
    if value < 2:
        return "must be at least 2"
    if values["global_batch_size"] % value:
        return f"--global_batch_size={values['global_batch_size']}: must be divisible by --num_hosts={value}"
    if values["num_devices"]:
        return f"--num_devices={values['num_devices']}: has no meaning with --num_hosts, which use all of theirs"
    return None


def _host_index(value, values):
    inside = value is None or 0 <= value < values["num_hosts"]
    return None if inside else f"must be at least 0 and below --num_hosts={values['num_hosts']}"


SETTINGS = (
    Setting(
        "coordinator",
        None,
        "HOST:PORT of host 0, for a training on several hosts with KERAS_BACKEND=jax; the same command runs on each.",
        kind=str,
        rule=_together,
        part=START,
    ),
    Setting(
        "num_hosts",
        None,
        "How many hosts, at least 2; all devices of each are used.",
        kind=int,
        rule=_num_hosts,
        part=START,
    ),
    Setting(
        "host_index",
        None,
        "Which of them this is, from 0; host 0 writes all files.",
        kind=int,
        rule=_host_index,
        part=START,
    ),
)


@contextlib.contextmanager
def ending_together(host_index):
    """Whatever ends this host ends it at once, with a line that says why, so that the others end as well.

    At exit JAX would wait for the others, which wait for this one.

    Args:
        host_index: of this process; None if there is one host.
    """
    if host_index is None:
        yield
        return
    last_words = _speak_after_the_end(host_index)
    try:
        yield
        _leave()
        os.write(last_words, NOTHING)
    except Exception as error:
        lost = not isinstance(error, UserError) and any(sign in str(error) for sign in SIGNS)
        if not lost and not isinstance(error, UserError):
            os.write(last_words, NOTHING)  # the traceback says it
            atexit.register(_exit, 1)
            raise
        line = f"error: --host_index={host_index}: {LOST}\n" if lost else f"error: {error}\n"
        os.write(last_words, line.encode(errors="backslashreplace"))
        _exit(1)
    except BaseException as stop:  # see `bbn_tf.__main__.interrupt`
        os.write(last_words, NOTHING)
        atexit.register(_exit, 128 + (stop.args[0] if stop.args else signal.SIGINT))
        raise


def _leave():
    import jax

    jax.distributed.shutdown()  # waits for the others


def _exit(status):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _speak_after_the_end(host_index):
    """Starts a child that writes the last line when this process has ended; call before TensorFlow has threads.

    JAX's own threads write to the end, and abort the process as soon as the coordinator is gone, which no handler in
    Python can catch: so only another process can have the last word.

    Returns:
        File descriptor: what is written to it is that line, `NOTHING` for none; without a word the process was lost.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(reader)
        return writer
    os.setsid()  # no Ctrl-C here
    os.close(writer)
    with open(reader, "rb") as words:
        line = words.read()  # until this process's parent is gone
    if not line:
        line = f"error: --host_index={host_index}: this process was killed, or {LOST}\n".encode()
    if line != NOTHING:
        os.write(sys.stderr.fileno(), line)
    os._exit(0)


def join(coordinator, num_hosts, host_index, global_batch_size):
    """Waits for all hosts, then distributes what Keras makes from here on over all their devices.

    Args:
        coordinator: "HOST:PORT" of host 0.
        num_hosts, host_index: ints.
        global_batch_size: images a step over all hosts.

    Raises:
        UserError: they did not all come; or their devices can't share a batch evenly.
    """
    import jax
    import keras

    print(f"host {host_index} of {num_hosts}: waiting for all at {coordinator}", flush=True)
    jax.config.update("jax_enable_preemption_service", False)  # or it would swallow SIGTERM
    try:  # as keras.distribution.initialize does, which would take 100 s to notice that a host is lost
        jax.distributed.initialize(
            coordinator,
            num_hosts,
            host_index,
            initialization_timeout=START_WITHIN,
            heartbeat_timeout_seconds=GONE_AFTER,
        )
    except Exception as error:  # of whatever kind JAX has for it
        reason = str(error).partition("\n")[0]
        raise UserError(f"--coordinator={coordinator}: hosts could not be joined ({reason})") from error
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    devices = distribution.num_model_replicas
    if global_batch_size % devices:
        raise UserError(
            f"--global_batch_size={global_batch_size}: must be divisible by {devices}, the devices of all hosts"
        )
    keras.distribution.set_distribution(distribution)


def from_first(value):
    """Host 0's `value`, a structure of arrays, on every host; with one host the value itself."""
    import keras

    if keras.distribution.distribution() is None:
        return value
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(value)


def check_same(settings, labels):
    """Raises UserError, on all hosts alike, if one's settings or training labels are not those of host 0.

    Args:
        settings: dict name -> text.
        labels: int64 [N].
    """
    from jax.experimental import multihost_utils

    settings = {name: text for name, text in settings.items() if name != "data_dir"}
    parts = {"settings": repr(settings).encode(), "training images": labels.tobytes()}
    sums = np.array([zlib.crc32(content) >> 1 for content in parts.values()], np.int32)
    of_all = multihost_utils.process_allgather(sums)
    for host, place in np.argwhere(of_all != of_all[0]):
        raise UserError(f"--host_index={host}: has other {list(parts)[place]} than host 0; all hosts need the same")


@contextlib.contextmanager
def alone():
    """What Keras makes and computes inside is this host's own."""
    import keras

    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
