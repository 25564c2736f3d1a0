"""The program as its user meets it: in a process of its own."""

import os
import pathlib
import subprocess
import sys

import pytest

from bbn_tf.config import Config
from bbn_tf.runs.folder import RunFolder
from tests import forked
from tests.in_process import run

ROOT = pathlib.Path(__file__).parents[1]


def run_main(*arguments, **environment):
    return subprocess.run(
        [sys.executable, ROOT / "main.py", *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


def only_line(process):
    """The one line a mistake costs."""
    lines = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, process.stderr
    assert "Traceback" not in process.stderr
    assert process.returncode == 1
    return lines[0]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--datset=cifar10_lt", "Unknown command line flag 'datset'. Did you mean: dataset ?"),
        ("--dataset=cifar", "flag --dataset=cifar: value should be one of <digits_lt|cifar10_lt|cifar100_lt|"),
        ("--sampler=random", "flag --sampler=random: value should be one of <uniform|balanced|reversed>"),
        ("--adaptor=sine", "flag --adaptor=sine: value should be one of <equal|beta|"),
        ("--backbone=vgg", "--backbone=vgg: unknown; --help lists all"),
        ("--epochs=many", "flag --epochs=many: invalid literal"),
        ("--flagfile=flags/none.flags", "flags/none.flags"),
        ("train", "train: not a flag; flags start with --"),
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
    "--backbone=tiny",
    "--epochs=2",
    "--lr_milestones=",
    "--warmup_epochs=0",
    "--global_batch_size=64",
    "--eval_every=0",
)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--imbalance_factor=111", "--imbalance_factor=111: the rarest of 10 classes would keep no image"),
        ("--global_batch_size=1000", "--global_batch_size=1000: must be at most 305"),
        ("--global_batch_size=63", "--global_batch_size=63: must be divisible by 4, the number of replicas"),
        ("--model=plain --mixup=input --global_batch_size=60", "--global_batch_size=60: mixup needs an even number"),
        ("--num_devices=99", "--num_devices=99: must be at most 4"),
        ("--profile_steps=1,99", "--profile_steps=1,99: must end by 8, the run's last step"),
        ("--model_dir={file}/run", "--model_dir={file}/run: can't be written to (Not a directory)"),
        ("--model_dir={foreign}", "--model_dir={foreign}: holds files but no flags.txt"),
        ("--model_dir={other}", "--model_dir={other}: holds a run with --backbone=resnet32, not tiny"),
    ],
)
def test_a_mistake_only_the_data_or_devices_show(argument, message, tmp_path):
    places = {name: tmp_path / name for name in ("file", "foreign", "other")}
    places["file"].write_text("")
    places["foreign"].mkdir()
    (places["foreign"] / "thesis.tex").write_text("mine")
    RunFolder(places["other"]).prepare(Config().settings(), overwrite=False)
    status, line = run(*TINY, f"--model_dir={tmp_path / 'run'}", *argument.format(**places).split())
    assert status == 1 and line.startswith("error: " + message.format(**places))
    assert not (tmp_path / "run").exists()
    assert [entry.name for entry in places["foreign"].iterdir()] == ["thesis.tex"]
    assert [entry.name for entry in places["other"].iterdir()] == ["flags.txt"]


def test_train_and_evaluate(tmp_path):
    finished = run_main(*TINY, "--backbone=resnet8", f"--model_dir={tmp_path}")
    assert finished.returncode == 0, finished.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint",
        "confusion.csv",
        "evaluation.csv",
        "flags.txt",
        "history.csv",
        "metrics.json",
        "model.keras",
        "tensorboard",
    ]
    again = forked.run(ROOT / "main.py", "--mode=evaluate", f"--model_dir={tmp_path}")
    assert again.stdout.splitlines()[-2:] == finished.stdout.splitlines()[-2:]
    assert "error %" in again.stdout and "note:" not in again.stdout
    assert again.returncode == 0 and finished.stderr == ""  # nothing of TensorFlow's start


def test_a_finished_run_is_left_alone(finished_run, capsys):
    config = finished_run()
    before = RunFolder(config.model_dir).model_file.read_bytes()
    settings = RunFolder(config.model_dir).flags_file
    assert run(f"--flagfile={settings}", f"--model_dir={config.model_dir}") == (0, "")
    assert "already finished; --overwrite trains it again" in capsys.readouterr().out
    assert RunFolder(config.model_dir).model_file.read_bytes() == before
