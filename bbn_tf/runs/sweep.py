"""Runs a plan: a process of the program for every run that is not finished yet, several at a time."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import time

from bbn_tf.errors import UserError
from bbn_tf.files import writing
from bbn_tf.runs.folder import RunFolder

PROGRAM = (sys.executable, "-m", "bbn_tf")
ROOT = pathlib.Path(__file__).parents[2]  # where the package is found
POLL = 0.2  # seconds
PR_SET_PDEATHSIG = 1


def sweep(plan, jobs, arguments=()):
    """Runs what of a plan is not finished, and prints what is done, running and failed.

    A run that was interrupted goes on; one that fails does not stop the others, but those that begin with it.
    What a run prints is in `<its folder>.log`.

    Args:
        plan: `bbn_tf.runs.plan.Plan`, of whose runs all flags have been checked.
        jobs: processes at a time.
        arguments: of every run besides its own.

    Raises:
        UserError: at the end, if runs have failed.
    """
    waiting = [run for run in plan.runs() if not is_finished(run.folder)]
    progress = Progress(len(plan.runs()), len(waiting))
    running, failed = {}, {}
    try:
        while waiting or running:
            _drop_hopeless(waiting, failed)
            while len(running) < jobs and (run := _next_ready(waiting)) is not None:
                waiting.remove(run)
                running[run] = _start(run, jobs, arguments)
            progress.show(len(waiting), len(running), len(failed))
            time.sleep(POLL)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                if running.pop(run).returncode or not is_finished(run.folder):
                    failed[run] = f"{_last_line(run)} (see {_log(run)})"
    finally:
        _stop(running.values())
        progress.show(len(waiting) + len(running), 0, len(failed), last=True)
    if failed:
        lines = "; ".join(f"{_name(run)}: {reason}" for run, reason in failed.items())
        raise UserError(f"{len(failed)} of {progress.total} runs failed: {lines}")


def is_finished(folder):
    return RunFolder(folder).is_finished()


class Progress:
    """One line: runs done, running, failed, and how long the rest will take by what those of this sweep took."""

    def __init__(self, total, to_do):
        self.total, self.to_do, self.start, self.shown = total, to_do, time.perf_counter(), None

    def show(self, waiting, running, failed, last=False):
        left = waiting + running
        text = f"{self.total - left - failed} of {self.total} runs done, {running} running, {failed} failed"
        changed, self.shown = text != self.shown, text
        if left and (ended := self.to_do - left):
            seconds = (time.perf_counter() - self.start) / ended * left
            text += f", about {seconds / 60:.0f} min left"
        if sys.stdout.isatty():
            print(f"\r{text:<79}", end="\n" if last else "", flush=True)
        elif changed:
            print(text, flush=True)


def _drop_hopeless(waiting, failed):
    """Counts as failed what begins with a run that failed."""
    folders = {run.folder for run in failed}
    for run in [run for run in waiting if run.after in folders]:
        waiting.remove(run)
        failed[run] = f"begins with {run.after}, which failed"
        folders.add(run.folder)


def _next_ready(waiting):
    """The first run that has what it begins with; None if all have to wait."""
    return next((run for run in waiting if run.after is None or is_finished(run.after)), None)


def _start(run, jobs, arguments):
    log = _log(run)
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            return subprocess.Popen([*PROGRAM, *arguments, *run.command()], env=_environment(jobs),
                                    stdout=file, stderr=subprocess.STDOUT, preexec_fn=_end_with_parent)  # fmt: skip


def _end_with_parent():
    """In the new process: asks Linux to end it, as Ctrl-C would, when the sweep is killed."""
    with contextlib.suppress(OSError, AttributeError):  # elsewhere it trains on
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment(jobs):
    """Gives each process its share of cores and of a GPU's memory, unless the user has said otherwise."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    shares = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads, "TF_FORCE_GPU_ALLOW_GROWTH": "true",
              "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / jobs:.2f}"}  # fmt: skip
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**(shares if jobs > 1 else {}), **os.environ, "PYTHONPATH": path}


def _stop(processes):
    """Ends what still runs: each has saved its last finished epoch."""
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


def _log(run):
    return run.folder.with_name(f"{run.folder.name}.log")


def _last_line(run):
    """The error's line, or the last one, of what a run printed."""
    lines = _log(run).read_text(errors="replace").strip().splitlines() or ["printed nothing"]
    return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1])


def _name(run):
    return f"{run.row}, {run.column}, seed {run.seed}"
