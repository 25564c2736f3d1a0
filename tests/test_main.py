"""The program as its user meets it: in a process of its own."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def run_main(*arguments, **environment):
    return subprocess.run(
        [sys.executable, ROOT / "main.py", *arguments],
        capture_output=True, text=True, timeout=300, cwd=ROOT, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


def only_line(process):
    """The one line a mistake costs; TensorFlow's own start-up notices aside."""
    lines = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, process.stderr
    assert "Traceback" not in process.stderr
    assert process.returncode == 1
    return lines[0]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--datset=cifar10_lt", "Unknown command line flag 'datset'. Did you mean: dataset ?"),
        ("--dataset=cifar", "flag --dataset=cifar: value should be one of <digits_lt|cifar10_lt|cifar100_lt>"),
        ("--sampler=random", "flag --sampler=random: value should be one of <uniform|balanced|reversed>"),
        ("--adaptor=sine", "flag --adaptor=sine: value should be one of <equal|beta|"),
        ("--backbone=vgg", "flag --backbone=vgg: value should be one of <resnet8|"),
        ("--epochs=many", "flag --epochs=many: invalid literal"),
        ("--flagfile=flags/none.flags", "flags/none.flags"),
        ("train", "train: not a flag; flags begin with --"),
        ("--lr_milestones=300", "--lr_milestones=300: must be at least 1 and below --epochs=200"),
    ],
)
def test_a_mistake_costs_one_line_at_once(argument, message):
    process = run_main(argument)
    assert message in only_line(process)
    assert process.stderr.count("\n") == 1 and not process.stdout


def test_help_names_every_flag_without_importing_tensorflow():
    process = run_main("--help", PYTHONPROFILEIMPORTTIME="1")
    assert "--imbalance_factor" in process.stdout and "--adaptor" in process.stdout
    for heavy in ("tensorflow", "keras", "jax", "matplotlib", "sklearn"):
        assert f" {heavy}\n" not in process.stderr, heavy


TINY = (
    "--backbone=resnet8", "--epochs=2", "--lr_milestones=", "--warmup_epochs=0", "--global_batch_size=64",
)  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--imbalance_factor=111", "--imbalance_factor=111: the rarest of 10 classes would keep no image"),
        ("--global_batch_size=1000", "--global_batch_size=1000: must be at most 305"),
        ("--num_devices=99", "--num_devices=99: must be at most"),
        ("--model_dir={file}/run", "--model_dir={file}/run: can't be written to (Not a directory)"),
        ("--model_dir={foreign}", "--model_dir={foreign}: holds files but no flags.txt"),
    ],
)
def test_a_mistake_only_the_data_or_devices_show(argument, message, tmp_path):
    places = {"file": tmp_path / "file", "foreign": tmp_path / "foreign"}
    places["file"].write_text("")
    places["foreign"].mkdir()
    (places["foreign"] / "thesis.tex").write_text("mine")
    process = run_main(*TINY, f"--model_dir={tmp_path / 'run'}", argument.format(**places))
    assert message.format(**places) in only_line(process)
    assert not (tmp_path / "run").exists()
    assert [entry.name for entry in places["foreign"].iterdir()] == ["thesis.tex"]


def test_train_stop_go_on_evaluate(tmp_path):
    """Ctrl-C in the middle, the same command again, and the evaluation from the saved model."""
    command = (*TINY, "--epochs=4", f"--model_dir={tmp_path}")
    process = subprocess.Popen([sys.executable, ROOT / "main.py", *command], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("checkpoint/epoch-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.terminate()
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 143, stderr
    assert "the same command goes on" in stdout and "Traceback" not in stderr
    assert not (tmp_path / "metrics.json").exists()

    finished = run_main(*command)
    assert finished.returncode == 0, finished.stderr
    assert "epochs 1 to 4" not in finished.stdout
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint", "flags.txt", "history.csv", "metrics.json", "model.keras", "tensorboard"
    ]  # fmt: skip
    table = finished.stdout.splitlines()[-2:]
    again = run_main("--mode=evaluate", f"--model_dir={tmp_path}")
    assert again.stdout.splitlines()[-2:] == table and "note:" not in again.stdout

    assert "already finished" in run_main(*command).stdout
    other = run_main(*command, "--learning_rate=0.5")
    assert "holds a run with --learning_rate=0.1, not 0.5" in only_line(other)

    (tmp_path / "model.keras").write_bytes(b"PK damaged")
    assert "model.keras: damaged" in only_line(run_main("--mode=evaluate", f"--model_dir={tmp_path}"))
    (tmp_path / "metrics.json").write_text("{")
    assert "metrics.json: damaged" in only_line(run_main(*command))
