import errno
import json

import numpy as np
import pytest

from bbn_tf.data import record
from bbn_tf.errors import UserError
from bbn_tf.files import atomic_path, write_json
from bbn_tf.runs.folder import RunFolder

SETTINGS = {"model": "bbn", "epochs": "3"}


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.prepare(SETTINGS, overwrite=False)
    return folder


def test_atomic_path_keeps_the_old_file_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_line(tmp_path):
    reason = r"metrics.json: can't be written \(No space left on device\)"
    with pytest.raises(UserError, match=reason), atomic_path(tmp_path / "metrics.json") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_settings_survive(run):
    assert run.read_settings() == SETTINGS


def test_same_settings_go_on_and_others_are_refused(run):
    run.prepare(SETTINGS, overwrite=False)
    with pytest.raises(UserError, match=r"holds a run with --epochs=3, not 4; .*--overwrite"):
        run.prepare({**SETTINGS, "epochs": "4"}, overwrite=False)
    assert run.read_settings() == SETTINGS


def test_overwrite_removes_what_a_run_leaves_and_nothing_else(run):
    (run.path / "notes.txt").write_text("mine")
    write_json(run.metrics_file, {})
    run.checkpoints.mkdir()
    (run.checkpoints / "epoch-0001.npz").write_text("x")
    run.prepare({**SETTINGS, "epochs": "4"}, overwrite=True)
    assert sorted(entry.name for entry in run.path.iterdir()) == ["flags.txt", "notes.txt"]
    assert run.read_settings()["epochs"] == "4"


@pytest.mark.parametrize("overwrite", [False, True])
def test_foreign_folder_is_refused_and_kept(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds files but no flags.txt"):
        RunFolder(tmp_path).prepare(SETTINGS, overwrite)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_process_left_does_not_make_a_folder_foreign(tmp_path):
    (tmp_path / ".tmp-flags.txt").write_text("# half")
    RunFolder(tmp_path).prepare(SETTINGS, overwrite=False)
    assert RunFolder(tmp_path).read_settings() == SETTINGS


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    folder = RunFolder(tmp_path / "file" / "run")
    with pytest.raises(UserError, match=r"^--model_dir=.*can't be written to \(Not a directory\)"), folder.locked():
        pass


@pytest.mark.parametrize("overwrite", [False, True])
def test_flags_txt_of_something_else_is_refused(tmp_path, overwrite):
    (tmp_path / "flags.txt").write_text("--epochs=3\n")
    (tmp_path / "checkpoint").mkdir()
    with pytest.raises(UserError, match="flags.txt: damaged or not of a run"):
        RunFolder(tmp_path).prepare(SETTINGS, overwrite)
    assert (tmp_path / "checkpoint").is_dir()


def test_interrupted_overwrite_can_be_repeated(run):
    (run.path / "export" / "1").mkdir(parents=True)
    run._clear()  # and killed before flags.txt was replaced
    run.prepare({**SETTINGS, "epochs": "4"}, overwrite=True)
    assert run.read_settings()["epochs"] == "4" and (run.path / "export" / "1").is_dir()


def test_overwrite_deletes_what_was_learned_before_the_record_of_its_images(run, monkeypatch):
    """Or a kill between the two would leave a run as an older version did, which split the images otherwise."""
    run.checkpoints.mkdir(exist_ok=True)
    for learned in (run.checkpoints / "epoch-0001.npz", run.model_file):
        learned.write_text("")
    gone = []
    monkeypatch.setattr(
        record, "delete", lambda folder: gone.append(not (run.checkpoints.exists() or run.model_file.exists()))
    )
    run.prepare(SETTINGS, overwrite=True)
    assert gone == [True]


def test_one_process_at_a_time(run):
    other = "another process trains in it"
    with run.locked(), pytest.raises(UserError, match=other), RunFolder(run.path).locked():
        pass
    with RunFolder(run.path).locked():
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 3}', "null", '"text"'])
def test_damaged_metrics(run, text):
    run.metrics_file.write_text(text)
    with pytest.raises(UserError, match=r"metrics.json: damaged .*delete it"):
        run.read_metrics()


def test_metrics_that_are_whole_or_missing(run):
    assert run.read_metrics() is None
    content = {
        "epoch": 3,
        "top1_error": 1.5,
        "per_class_error": [1.5, None],
        "class_counts": [3, 2],
        "class_names": ["a", "b"],
    }
    write_json(run.metrics_file, content)
    assert run.read_metrics() == json.loads(run.metrics_file.read_text()) == content


@pytest.mark.parametrize("text", ["model=bbn", "--model", b"\xff\xfe"])
def test_damaged_settings(run, text):
    run.flags_file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match="flags.txt"):
        run.read_settings()


def test_history_has_each_epoch_once(run):
    for epoch in (1, 2, 3, 2):  # killed in epoch 3 and gone on after the checkpoint of epoch 1
        run.append_history({"epoch": epoch, "loss": 0.5, "top1_error": ""})
    assert [(row["epoch"], row["loss"]) for row in run.read_history()] == [("1", "0.5"), ("2", "0.5")]


def test_checkpoints_newest_first(run):
    run.checkpoints.mkdir()
    for name in ("epoch-0002.npz", "epoch-0010.npz", ".tmp-epoch-0011.npz", "epoch-x.npz"):
        (run.checkpoints / name).write_text("")
    assert [epochs for epochs, _ in run.checkpoint_files()] == [10, 2]


def test_what_a_kill_left_of_old_checkpoints_is_deleted_when_the_run_is_resumed(run):
    """Of three whole ones and one that is damaged the two newest whole ones stay."""
    for epoch in (1, 2, 3, 4):
        with atomic_path(run.checkpoints / f"epoch-{epoch:04d}.npz") as temporary:
            np.savez(temporary, epoch=epoch)
    (run.checkpoints / "epoch-0004.npz").write_text("half")
    epochs_done, arrays = run.newest_checkpoint(lambda path: dict(np.load(path)))
    assert epochs_done == arrays["epoch"] == 3
    assert [epochs for epochs, _ in run.checkpoint_files()] == [3, 2]
