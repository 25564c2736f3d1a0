"""A run that is killed at any moment and started again ends as the one that was never stopped."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from bbn_tf.files import check_whole
from bbn_tf.modes.build import load_model
from bbn_tf.runs.folder import RunFolder

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = (
    sys.executable, ROOT / "main.py", "--backbone=resnet8", "--epochs=4", "--lr_milestones=3", "--warmup_epochs=1",
    "--global_batch_size=64", "--num_devices=1", "--eval_every=2", "--deterministic",
)  # fmt: skip


def start(folder, *arguments, **options):
    return subprocess.Popen([*COMMAND, f"--model_dir={folder}", *arguments], cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # fmt: skip


def wait_for(process, condition, seconds=180):
    """Waits, spinning, since some moments are short; whether the process still runs."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
    return process.poll() is None


def outcome(folder):
    """Everything a run leaves, times aside: (weights, history, figures)."""
    run = RunFolder(folder)
    weights = [keras.ops.convert_to_numpy(w) for w in load_model(run).weights]
    without_time = [
        {k: v for k, v in d.items() if k not in ("seconds", "starts")}
        for d in [*run.read_history(), run.read_metrics()]
    ]
    return weights, without_time[:-1], without_time[-1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(folder)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return folder


def assert_same(actual, expected):
    for one, two in zip(actual[0], expected[0], strict=True):
        assert one.tobytes() == two.tobytes()
    assert actual[1] == expected[1] and actual[2] == expected[2]


def test_killed_again_and_again(uninterrupted, tmp_path):
    """In the middle of an epoch, and while a checkpoint, the model or metrics.json is being written."""
    rng = np.random.default_rng()
    moments = [
        (".tmp-flags.txt", 0),
        ("checkpoint/epoch-0001.npz", rng.uniform(0, 0.3)),
        ("checkpoint/.tmp-epoch-0002.npz", 0),
        (".tmp-history.csv", rng.uniform(0, 0.3)),
        ("checkpoint/.tmp-epoch-0004.npz", rng.uniform(0, 0.01)),
        (".tmp-model.keras", rng.uniform(0, 0.01)),
        (".tmp-metrics.json", 0),
    ]
    killed = 0
    for name, delay in moments:
        process = start(tmp_path)
        path = tmp_path / name
        if wait_for(process, path.exists):
            time.sleep(delay)
            process.kill()
        process.communicate(timeout=180)
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 4
    process = start(tmp_path)
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0 and "Traceback" not in stderr, stderr
    assert_same(outcome(tmp_path), outcome(uninterrupted))
    assert len(RunFolder(tmp_path).checkpoint_files()) == 2
    leftover = [path.name for path in tmp_path.rglob(".tmp-*")]
    assert not leftover, leftover


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_polite_stop(number, status, tmp_path):
    process = start(tmp_path)
    assert wait_for(process, (tmp_path / "checkpoint" / "epoch-0001.npz").exists)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status
    assert stdout.splitlines()[-1] == "stopped; finished epochs are saved, the same command resumes after them"
    assert "Traceback" not in stderr
    check_whole(RunFolder(tmp_path).checkpoint_files()[0][1])


def test_full_disk_ends_with_the_reason_and_keeps_the_last_good_checkpoint(uninterrupted, tmp_path):
    """A limit on the size of a file stands in: the writes fail in the same places with another reason."""
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    run = RunFolder(tmp_path)
    for path in (run.metrics_file, run.model_file, run.checkpoint_files()[0][1]):
        path.unlink()
    ((epochs_done, last),) = run.checkpoint_files()
    before = last.read_bytes()
    process = start(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)))
    _, stderr = process.communicate(timeout=300)
    lines = [line for line in stderr.splitlines() if line.startswith("error: ")]
    assert process.returncode == 1 and "Traceback" not in stderr, stderr
    assert len(lines) == 1 and "can't be written (File too large)" in lines[0], stderr
    assert run.checkpoint_files() == [(epochs_done, last)] and last.read_bytes() == before


def test_unwritable_from_now_on(tmp_path):
    """The folder is taken away under a running training."""
    process = start(tmp_path / "run")
    assert wait_for(process, (tmp_path / "run" / "checkpoint" / "epoch-0001.npz").exists)
    os.rename(tmp_path / "run", tmp_path / "elsewhere")
    (tmp_path / "run").write_text("no folder any more")
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in stderr, stderr
    assert "can't be written" in stderr.splitlines()[-1]
