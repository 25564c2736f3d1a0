"""Sweeps: what runs when, with a stand-in for main.py; and the real thing once."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from bbn_tf.errors import UserError
from bbn_tf.runs import sweep
from bbn_tf.runs.plan import Plan
from tests.in_process import run
from tests.test_main import ROOT

STAND_IN = """
import json, os, pathlib, sys, time
flags = dict(a[2:].split("=", 1) for a in sys.argv[1:])
folder = pathlib.Path(flags["model_dir"])
log = open(flags["data_dir"], "a")
log.write(json.dumps([str(folder), "begin", os.environ.get("TF_NUM_INTRAOP_THREADS"), flags.get("from_run")]) + "\\n")
log.flush()
time.sleep(0.3)
if flags.get("loss") == "fail":
    print("working")
    sys.exit("error: it went wrong")
folder.mkdir(parents=True, exist_ok=True)
(folder / "model.keras").write_text("")
(folder / "metrics.json").write_text("{}")
log.write(json.dumps([str(folder), "end", None, None]) + "\\n")
"""
PLAN = """
seeds = [0, 1]
[columns]
digits = ["--dataset=digits_lt"]
[rows.A]
flags = ["--loss=ce"]
[rows.B]
flags = ["--loss=fail"]
[rows."A again"]
flags = []
from = "A"
[rows."B again"]
flags = []
from = "B"
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Function (plan's text, jobs) -> list of [place, event, ...] of what was started, in order."""
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    (tmp_path / "plan.toml").write_text(PLAN)
    monkeypatch.setattr(sweep, "PROGRAM", (sys.executable, str(tmp_path / "stand_in.py")))
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)

    def make(jobs, content=PLAN):
        (tmp_path / "plan.toml").write_text(content)
        log = tmp_path / "events"
        log.write_text("")
        try:
            sweep.sweep(Plan(tmp_path / "plan.toml", tmp_path / "runs"), jobs, [f"--data_dir={log}"])
        finally:
            events = [json.loads(line) for line in log.read_text().splitlines()]
        return [[os.path.relpath(place, tmp_path / "runs"), *rest] for place, *rest in events]

    make.folder = tmp_path / "runs"
    make.log = tmp_path / "events"
    return make


def test_failed_runs_do_not_stop_the_others(stand_in, capsys):
    with pytest.raises(UserError) as failure:
        stand_in(jobs=2)
    message = str(failure.value)
    assert message.startswith("4 of 8 runs failed: B, digits, seed 0: error: it went wrong (see ")
    assert "B again, digits, seed 1: starts from" in message and "A again" not in message
    for place in ("a/digits/seed0", "a/digits/seed1", "a_again/digits/seed0", "a_again/digits/seed1"):
        assert (stand_in.folder / place / "metrics.json").exists()
    started = [json.loads(line) for line in stand_in.log.read_text().splitlines()]
    begun = [place for place, event, *_ in started if event == "begin"]
    assert len(begun) == 6 and not any("b_again" in place for place in begun)
    assert "working" in (stand_in.folder / "b/digits/seed0.log").read_text()
    out = capsys.readouterr().out
    assert "0 of 8 runs done, 2 running, 0 failed" in out and "4 of 8 runs done, 0 running, 4 failed" in out
    assert re.search(r"about \d+ min left", out)


def test_a_run_that_failed_before_is_not_told_the_old_reason(stand_in, monkeypatch):
    """It is out of memory now, which writes no line of ours."""
    with pytest.raises(UserError, match="B, digits, seed 0: error: it went wrong"):
        stand_in(jobs=2)
    script = stand_in.folder.parent / "stand_in.py"
    script.write_text("import os, signal; print('working', flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(UserError) as failure:
        stand_in(jobs=2)
    reason = "B, digits, seed 0: ended by signal 9 (Killed); last line: working (see "
    assert reason in str(failure.value) and "went wrong" not in str(failure.value)


WHOLE = PLAN.replace("fail", "ce")


@pytest.mark.parametrize("jobs", [1, 3])
def test_as_many_at_a_time_as_asked_for(jobs, stand_in, capsys):
    ended = set()
    for place, event, threads, first in stand_in(jobs, WHOLE):
        if event == "end":
            ended.add(str(stand_in.folder / place))
        else:
            assert threads == (None if jobs == 1 else str(max(1, os.cpu_count() // jobs)))
            assert first is None or first in ended
    said = re.findall(r"done, (\d+) running", capsys.readouterr().out)
    assert max(map(int, said)) == jobs


def test_what_is_finished_is_skipped(stand_in):
    assert len(stand_in(3, WHOLE)) == 16
    assert stand_in(3, WHOLE) == []
    for place in ("a/digits/seed1", "b_again/digits/seed0"):
        (stand_in.folder / place / "metrics.json").unlink()
    assert sorted(place for place, event, *_ in stand_in(1, WHOLE) if event == "begin") == [
        "a/digits/seed1",
        "b_again/digits/seed0",
    ]


REAL = """
title = "Tiny"
flags = ["--backbone=resnet8", "--epochs=200", "--lr_milestones=", "--warmup_epochs=0", "--global_batch_size=100",
         "--eval_every=0"]
[columns]
digits = ["--dataset=digits_lt"]
[rows.CE]
flags = ["--flagfile=flags/ce.flags"]
paper = {digits = 50.0}
[rows."CE, tau-normalised"]
flags = ["--flagfile=flags/tau_norm.flags"]
from = "CE"
[[pictures]]
kind = "errors"
title = "Errors"
"""


def test_interrupted_resumed_and_reported(tmp_path, monkeypatch):
    """Ctrl-C ends the runs with their epochs saved; the next sweep goes on after them, and reports."""
    plan, folder = tmp_path / "tiny.toml", tmp_path / "runs"
    plan.write_text(REAL)
    process = subprocess.Popen(
        [sys.executable, ROOT / "main.py", "--mode=sweep", f"--plan={plan}", f"--model_dir={folder}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run_folder = folder / "ce" / "digits" / "seed0"
    deadline = time.monotonic() + 600
    while not (run_folder / "checkpoint" / "epoch-0001.npz").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 130 and "the same command resumes after them" in output, output
    assert "stopped" in (folder / "ce" / "digits" / "seed0.log").read_text()
    with open(run_folder / "history.csv", newline="") as file:
        done = len(list(csv.DictReader(file)))
    assert 1 <= done < 200
    command = [f"--plan={plan}", f"--model_dir={folder}"]
    status, message = run("--mode=report", *command)
    assert status == 1 and f"{folder}: no run of {plan} is finished there" in message
    # Shortened by hand, as what would take minutes: the run's last epoch is one more than it has.
    plan.write_text(REAL.replace("--epochs=200", f"--epochs={done + 1}"))
    settings = run_folder / "flags.txt"
    settings.write_text(settings.read_text().replace("--epochs=200", f"--epochs={done + 1}"))
    monkeypatch.setattr(sweep, "PROGRAM", (sys.executable, "-m", "tests.tiny"))
    assert run("--mode=sweep", *command, "--jobs=2") == (0, "")
    assert f"epochs {done + 1} to {done + 1}" in (folder / "ce" / "digits" / "seed0.log").read_text()
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["row"], row["column"], row["seed"]) for row in rows] == [
        ("CE", "digits", "0"),
        ("CE, tau-normalised", "digits", "0"),
    ]
    error = json.loads((run_folder / "metrics.json").read_text())["top1_error"]
    assert f"| CE | {error:.2f} (1); paper 50.00, {error - 50:+.2f} |" in (folder / "results.md").read_text()
    assert (folder / "1_errors.png").stat().st_size > 5000
