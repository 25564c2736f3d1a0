"""Training on several hosts with Keras's JAX backend: each host has one process, and all share every batch.

The result equals that of a single process: JAX splits each global batch over the devices of all hosts, and BatchNorm
computes its statistics over the global batch.  Host 0 reads checkpoints and writes all files; the other hosts need no
run folder.
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

GONE_AFTER = 20  # seconds without a heartbeat after which a host counts as lost
START_WITHIN = 300  # seconds to wait until all hosts have started
NOTHING = b"."
LOST = "another host was lost; start the same commands again on all hosts, finished epochs are kept"
# These words in an error of XLA's collective operations or JAX's coordination service mean that a host was lost.
SIGNS = ("Gloo", "NCCL", "nccl", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "oordination service")


def _together(value, values):
    """Rule: all three settings are given, or none; and the backend can train on several hosts."""
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
        return f"--num_devices={values['num_devices']}: has no meaning with --num_hosts; each host uses all its devices"
    return None


def _host_index(value, values):
    inside = value is None or 0 <= value < values["num_hosts"]
    return None if inside else f"must be at least 0 and below --num_hosts={values['num_hosts']}"


SETTINGS = (
    Setting(
        "coordinator",
        None,
        "HOST:PORT of host 0, to train on several hosts with KERAS_BACKEND=jax; start the same command on each host.",
        kind=str,
        rule=_together,
        part=START,
    ),
    Setting(
        "num_hosts",
        None,
        "Number of hosts, at least 2; each host uses all of its devices.",
        kind=int,
        rule=_num_hosts,
        part=START,
    ),
    Setting(
        "host_index",
        None,
        "Index of this host, from 0; host 0 writes all files.",
        kind=int,
        rule=_host_index,
        part=START,
    ),
)


@contextlib.contextmanager
def ending_together(host_index):
    """Ends this host immediately after an error or a signal, with one line that says why; the other hosts end too.

    Without this, JAX would wait for the other hosts at exit, and they would wait for this host.

    Args:
        host_index: index of this process; None if there is only one host.
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
            os.write(last_words, NOTHING)  # the traceback explains the error
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
    """Starts a child process that writes the last line after this process has ended.

    JAX's own threads print until the end, and they abort the process when the coordinator is lost; no handler in Python
    can catch this.  So only another process can print the last line.  Call this before TensorFlow starts threads.

    Returns:
        File descriptor for the line: write the line, or `NOTHING` to print no line.  If nothing was written, the child
        prints that this process was killed or another host was lost.
    """
    reader, writer = os.pipe()
    if os.fork():
        os.close(reader)
        return writer
    os.setsid()  # Ctrl-C must not reach the child
    os.close(writer)
    with open(reader, "rb") as words:
        line = words.read()  # returns when the parent has ended
    if not line:
        line = f"error: --host_index={host_index}: this process was killed, or {LOST}\n".encode()
    if line != NOTHING:
        os.write(sys.stderr.fileno(), line)
    os._exit(0)


def join(coordinator, num_hosts, host_index, global_batch_size):
    """Waits for all hosts; afterwards Keras distributes new models over the devices of all hosts.

    Args:
        coordinator: "HOST:PORT" of host 0.
        num_hosts, host_index: ints.
        global_batch_size: images per step on all hosts together.

    Raises:
        UserError: some hosts did not start in time, or the number of devices does not divide the batch size.
    """
    import jax
    import keras

    print(f"host {host_index} of {num_hosts}: waiting for all hosts at {coordinator}", flush=True)
    jax.config.update("jax_enable_preemption_service", False)  # it would intercept SIGTERM
    try:  # keras.distribution.initialize does the same, but would notice a lost host only after 100 s
        jax.distributed.initialize(
            coordinator,
            num_hosts,
            host_index,
            initialization_timeout=START_WITHIN,
            heartbeat_timeout_seconds=GONE_AFTER,
        )
    except Exception as error:  # JAX raises several types
        reason = str(error).partition("\n")[0]
        raise UserError(f"--coordinator={coordinator}: the hosts can't connect ({reason})") from error
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    devices = distribution.num_model_replicas
    if global_batch_size % devices:
        raise UserError(
            f"--global_batch_size={global_batch_size}: must be divisible by {devices}, the number of all hosts' devices"
        )
    keras.distribution.set_distribution(distribution)


def from_first(value):
    """Returns host 0's `value`, a structure of arrays, on every host; with one host, returns `value` itself."""
    import keras

    if keras.distribution.distribution() is None:
        return value
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(value)


def check_same(settings, labels, identities=""):
    """Raises UserError on all hosts if the settings or training images of a host differ from those of host 0.

    Args:
        settings: dict name -> text.
        labels: int64 [N], of the training images.
        identities: text that tells them apart: names and sizes of files, not where a host has them.
    """
    from jax.experimental import multihost_utils

    places = {"data_dir", "train_list", "eval_list", "validation_list", "class_names"}  # a host has its own
    settings = {name: text for name, text in settings.items() if name not in places}
    images = labels.tobytes() + identities.encode(errors="surrogateescape")
    parts = {"settings": repr(settings).encode(), "training images": images}
    sums = np.array([zlib.crc32(content) >> 1 for content in parts.values()], np.int32)
    of_all = multihost_utils.process_allgather(sums)  # [hosts, parts]
    differences = np.argwhere(of_all != of_all[0])
    if len(differences):
        host, place = differences[0]
        raise UserError(f"--host_index={host}: has other {list(parts)[place]} than host 0; all hosts need the same")


@contextlib.contextmanager
def alone():
    """Inside, Keras makes and computes everything locally, on this host."""
    import keras

    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)
