"""A run that is killed at any moment and started again ends as the one that was never stopped."""

import os
import pathlib
import resource
import shutil
import signal
import time

import keras
import pytest

from bbn_tf.files import check_whole
from bbn_tf.modes.build import load_model
from bbn_tf.runs.folder import RunFolder
from tests import forked, in_process, tiny

pytestmark = pytest.mark.usefixtures("mirrored", "without_summaries")
ARGUMENTS = (
    "--backbone=tiny",
    "--epochs=4",
    "--lr_milestones=3",
    "--warmup_epochs=1",
    "--global_batch_size=64",
    "--num_devices=1",
    "--eval_every=2",
    "--deterministic",
)


def run(folder):
    """The training in this process: (exit status, message)."""
    return in_process.run(*ARGUMENTS, f"--model_dir={folder}")


def start(folder, pause_before):
    """The training in a process of its own, which does not go on when it has written that file."""
    return forked.Process("-m", "tests.tiny", *ARGUMENTS, f"--model_dir={folder}", **{tiny.PAUSE: pause_before})


def wait_for(process, condition, seconds=600):
    """Waits for a moment in the life of a process; whether the process still runs."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process.poll() is None


def outcome(folder):
    """Everything a run leaves, times aside: (weights, history, figures)."""
    run_folder = RunFolder(folder)
    weights = [keras.ops.convert_to_numpy(w) for w in load_model(run_folder).weights]
    without_time = [
        {k: v for k, v in d.items() if k not in ("seconds", "starts")}
        for d in [*run_folder.read_history(), run_folder.read_metrics()]
    ]
    return weights, without_time[:-1], without_time[-1]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, without_summaries):
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert run(folder) == (0, "")
    return folder


def assert_ends_as(folder, uninterrupted):
    actual, expected = outcome(folder), outcome(uninterrupted)
    for one, two in zip(actual[0], expected[0], strict=True):
        assert one.tobytes() == two.tobytes()
    assert actual[1] == expected[1] and actual[2] == expected[2]
    assert [done for done, _ in RunFolder(folder).checkpoint_files()] == [4, 3]
    leftover = [path.name for path in folder.rglob(".tmp-*")]
    assert not leftover, leftover


class Killed(BaseException):
    """Nothing but the tests catches it."""


def run_until(name, folder, aside, written=1):
    """Trains until a file of that name is replaced or deleted; leaves in the folder what a kill would leave there.

    Args:
        written: the part of the new file that was written, a fraction.
    """

    def kill(target, source=None):
        if pathlib.Path(target).name != name:
            return
        if source is not None:
            os.truncate(source, int(written * os.path.getsize(source)))
        shutil.copytree(folder, aside)
        raise Killed

    replace, unlink = os.replace, pathlib.Path.unlink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda source, target: (kill(target, source), replace(source, target)))
        patch.setattr(pathlib.Path, "unlink", lambda path, **options: (kill(path), unlink(path, **options)))
        with pytest.raises(Killed):
            run(folder)
    shutil.rmtree(folder)
    aside.rename(folder)


def test_killed_again_and_again(uninterrupted, tmp_path):
    """While flags, a checkpoint, the model or the figures are written, and before an old checkpoint is deleted."""
    folder, aside = tmp_path / "run", tmp_path / "aside"
    run_until("flags.txt", folder, aside, written=0.5)
    run_until("epoch-0002.npz", folder, aside, written=0.5)
    assert [done for done, _ in RunFolder(folder).checkpoint_files()] == [1]
    run_until("epoch-0001.npz", folder, aside)  # deleted when the third has been written
    assert [done for done, _ in RunFolder(folder).checkpoint_files()] == [3, 2, 1]
    run_until("epoch-0002.npz", folder, aside)  # deleted when the fourth, the last, has been written
    assert [done for done, _ in RunFolder(folder).checkpoint_files()] == [4, 3, 2]
    run_until("model.keras", folder, aside, written=0.5)
    run_until("metrics.json", folder, aside, written=0.5)
    assert run(folder) == (0, "")
    assert_ends_as(folder, uninterrupted)


def test_killed_and_stopped_by_signals(uninterrupted, tmp_path):
    """Each in a process of its own, while an epoch's checkpoint is written."""
    for name, number, status in (
        ("epoch-0001.npz", signal.SIGKILL, -signal.SIGKILL),
        ("epoch-0002.npz", signal.SIGTERM, 143),
        ("epoch-0003.npz", signal.SIGINT, 130),
    ):
        process = start(tmp_path, pause_before=name)
        assert wait_for(process, lambda name=name: list(tmp_path.rglob(f".tmp-{name}")))
        process.send_signal(number)
        stdout, stderr = process.communicate()
        assert process.returncode == status and "Traceback" not in stderr, stderr
        if status > 0:
            stopped = "stopped; finished epochs are saved, the same command resumes after them"
            assert stdout.splitlines()[-1] == stopped
        else:
            assert list(tmp_path.rglob(f".tmp-{name}"))
        for _, path in RunFolder(tmp_path).checkpoint_files():
            check_whole(path)
    assert run(tmp_path) == (0, "")
    assert_ends_as(tmp_path, uninterrupted)


def test_full_disk_ends_with_the_reason_and_keeps_the_last_good_checkpoint(uninterrupted, tmp_path):
    """A limit on the size of a file stands in: the writes fail in the same places with another reason."""
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    run_folder = RunFolder(tmp_path)
    for path in (run_folder.metrics_file, run_folder.model_file, run_folder.checkpoint_files()[0][1]):
        path.unlink()
    ((epochs_done, last),) = run_folder.checkpoint_files()
    before = last.read_bytes()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, unlimited[1]))
        status, message = run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert status == 1 and message.startswith(f"error: {last.with_name('epoch-0004.npz')}"), message
    assert message.endswith("can't be written (File too large)")
    assert run_folder.checkpoint_files() == [(epochs_done, last)] and last.read_bytes() == before


def test_unwritable_from_now_on(tmp_path, monkeypatch):
    """The folder is taken away under a running training."""
    replace = os.replace

    def replace_and_take_away(source, target):
        replace(source, target)
        if pathlib.Path(target).name == "epoch-0001.npz":
            os.rename(tmp_path / "run", tmp_path / "elsewhere")
            (tmp_path / "run").write_text("no folder any more")

    monkeypatch.setattr(os, "replace", replace_and_take_away)
    status, message = run(tmp_path / "run")
    assert status == 1 and "can't be written" in message
