"""Several hosts, here local processes, train what one does; one of them lost ends the others."""

import importlib.util
import signal
import socket
import types

import numpy as np
import pytest
import tensorflow as tf

from bbn_tf import flags
from bbn_tf.config import Config
from bbn_tf.data import datasets, input_pipeline
from bbn_tf.errors import UserError
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import hosts
from tests import forked, tiny
from tests.training.test_resume import wait_for

COMMAND = (
    "-m",
    "tests.tiny",
    "--backbone=tiny",
    "--epochs=2",
    "--lr_milestones=",
    "--warmup_epochs=0",
    "--global_batch_size=60",
    "--learning_rate=0.01",
    "--eval_every=0",
    "--validation_fraction=0.2",
)
ENVIRONMENT = {
    **tiny.JAX,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": tiny.JAX["XLA_FLAGS"] + " --xla_force_host_platform_device_count=1",
}
needs_jax = pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")


def start(folder, num_hosts=1, **environment):
    """The processes of a training, each with a folder of its own below `folder`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # free a moment ago
    processes = []
    for host in range(num_hosts):
        hosts = [f"--coordinator=127.0.0.1:{port}", f"--num_hosts={num_hosts}", f"--host_index={host}"]
        processes.append(
            forked.Process(
                *COMMAND,
                f"--model_dir={folder / str(host)}",
                *(hosts if num_hosts > 1 else []),
                **{**ENVIRONMENT, **environment},
            )
        )
    return processes


def finish(processes):
    """What the processes wrote: (list of stdout, list of stderr); all of them ended well."""
    written = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), written
    return tuple(zip(*written, strict=True))


def losses(folder):
    rows = RunFolder(folder / "0").read_history()
    assert [row["epoch"] for row in rows] == ["1", "2"]
    return [[float(row[name]) for name in ("loss", "conventional_loss", "rebalancing_loss")] for row in rows]


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    finish(start(folder))
    return losses(folder), RunFolder(folder / "0").read_metrics()


@needs_jax
def test_three_hosts_of_which_one_is_lost_and_two_that_go_on_train_what_one_process_does(one_process, tmp_path):
    processes = start(tmp_path, 3, **{tiny.PAUSE: "epoch-0001.npz"})
    checkpoints = tmp_path / "0" / "checkpoint"
    assert wait_for(processes[0], (checkpoints / ".tmp-epoch-0001.npz").exists)
    processes[2].kill()
    (checkpoints / "epoch-0001.npz.go").touch()
    written = [process.communicate()[1] for process in processes]
    for host, (process, text) in enumerate(zip(processes, written, strict=True)):
        last = text.splitlines()[-1]
        assert last.startswith(f"error: --host_index={host}: ") and "another host was lost; start the same" in last
        assert process.returncode == -signal.SIGKILL if host == 2 else process.returncode in (1, -signal.SIGABRT)
    stdout, _ = finish(start(tmp_path, 2))
    assert ["epochs 2 to 2" in text for text in stdout] == [True, True]
    assert ["error %" in text for text in stdout] == [True, False]
    np.testing.assert_allclose(losses(tmp_path), one_process[0], rtol=1e-4)
    figures = RunFolder(tmp_path / "0").read_metrics()
    assert figures["top1_error"] == pytest.approx(one_process[1]["top1_error"], abs=2)  # of 62 images one
    assert [path.name for path in tmp_path.iterdir()] == ["0"]  # the others wrote nothing


def batches_of(dataset, share):
    batches = input_pipeline.training_batches(
        dataset, 12, sampler="reversed", paired=True, augment="basic", seed=3, initial_epoch=1, epochs=3, share=share
    )
    return [tf.nest.flatten(batch) for batch in batches.as_numpy_iterator()]


def assert_shares_make_the_batch(dataset, hosts):
    whole = batches_of(dataset, (0, 1))
    shares = [batches_of(dataset, (host, hosts)) for host in range(hosts)]
    assert len(whole) == 2 * (len(dataset.train_labels) // 12) == len(shares[0])
    for step, parts in enumerate(zip(*shares, strict=True)):
        for place, expected in enumerate(whole[step]):
            assert [len(part[place]) for part in parts] == [12 // hosts] * hosts
            np.testing.assert_array_equal(np.concatenate([part[place] for part in parts]), expected)


@pytest.mark.parametrize("hosts", [2, 4])
def test_shares_of_all_hosts_are_the_batch_of_one(hosts):
    assert_shares_make_the_batch(datasets.load("digits_lt", imbalance_factor=50.0), hosts)


@pytest.mark.parametrize("hosts", [2, 4])
def test_each_host_reads_only_its_share_of_files(hosts):
    read = []

    def reader(part, augment):
        def count(index, key):
            read.append(int(index))
            return np.float32(key[0] % 997 + index)  # as an augmented image, it shows the image and its draw

        return lambda index, key: tf.ensure_shape(tf.numpy_function(count, [index, key], tf.float32), [])

    labels = np.repeat([0, 1, 2], [30, 15, 5])
    dataset = types.SimpleNamespace(
        train_labels=labels, class_counts=np.bincount(labels), one_by_one=True, reader=reader
    )
    assert_shares_make_the_batch(dataset, hosts)
    read.clear()
    batches_of(dataset, (0, hosts))
    assert len(read) == 2 * 4 * 2 * 12 // hosts  # epochs, steps, streams, images
    assert input_pipeline.share_of(12, (1, 2)) == slice(6, 12) and input_pipeline.share_of(12, (3, 4)) == slice(9, 12)


def test_other_images_of_the_same_labels_are_noticed(monkeypatch):
    multihost_utils = pytest.importorskip("jax.experimental.multihost_utils")
    sums = []

    def gather(own):
        sums.append(own)
        return np.stack([sums[0], own])

    monkeypatch.setattr(multihost_utils, "process_allgather", gather)
    labels = np.array([0, 1])
    hosts.check_same({"data_dir": "here"}, labels, "[(0, 'ant.jpg', 9), (1, 'bee.jpg', 9)]")
    hosts.check_same({"data_dir": "there"}, labels, "[(0, 'ant.jpg', 9), (1, 'bee.jpg', 9)]")
    with pytest.raises(UserError, match="--host_index=1: has other training images than host 0"):
        hosts.check_same({}, labels, "[(0, 'ant.jpg', 9), (1, 'bee.jpg', 8)]")
    with pytest.raises(UserError, match="--host_index=1: has other settings than host 0"):
        hosts.check_same({"seed": "1"}, labels, "[(0, 'ant.jpg', 9), (1, 'bee.jpg', 9)]")


HOSTS = {"coordinator": "10.0.0.1:1234", "num_hosts": 2, "host_index": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**HOSTS, "host_index": None}, "--coordinator=10.0.0.1:1234: needs --host_index too"),
        ({"host_index": 0}, "--host_index=0: needs --coordinator too"),
        ({**HOSTS, "host_index": 2}, "--host_index=2: must be at least 0 and below --num_hosts=2"),
        ({**HOSTS, "num_hosts": 1}, "--num_hosts=1: must be at least 2"),
        ({**HOSTS, "num_hosts": 3}, "--global_batch_size=128: must be divisible by --num_hosts=3"),
        ({**HOSTS, "num_devices": 2}, "--num_devices=2: has no meaning with --num_hosts"),
        *(
            ({**HOSTS, "coordinator": wrong}, f"--coordinator={wrong}: must be HOST:PORT")
            for wrong in ("", "here", ":1234", "here:", "here:0", "here:65536", "here:http")
        ),
    ],
)
def test_mistakes_cost_one_line(settings, message, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert Config(**HOSTS).settings() == Config().settings()  # a run may go on with fewer
    with pytest.raises(UserError) as caught:
        Config(**settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("backend", [None, "tensorflow"])
def test_tensorflow_is_refused(backend, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if backend:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    with pytest.raises(UserError, match=r"^--num_hosts=2: Keras can't train on several hosts with its TensorFlow back"):
        Config(**HOSTS)


def test_only_a_training_has_several_hosts(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match=r"^--coordinator=.*: has no meaning with --mode=compare, only with train$"):
        flags.parse(["--mode=compare", *(f"--{name}={value}" for name, value in HOSTS.items())])
