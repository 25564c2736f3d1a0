"""Runs a plan: starts the program once for every unfinished run, several at the same time."""

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
ROOT = pathlib.Path(__file__).parents[2]  # folder that holds the package
POLL = 0.2  # seconds between two looks at the processes
PR_SET_PDEATHSIG = 1


def sweep(plan, jobs, arguments=()):
    """Runs the unfinished runs of a plan and prints how many runs are done, running and failed.

    Interrupted runs resume.  If a run fails, only the runs that start from it fail too; all others continue.  The
    output of a run goes to `<its folder>.log`.

    Args:
        plan: `bbn_tf.runs.plan.Plan`; the flags of all its runs must have been checked.
        jobs: number of processes at the same time.
        arguments: additional arguments for every run.

    Raises:
        UserError: some runs failed; raised after all others have ended.
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
                process = running.pop(run)
                if process.returncode or not is_finished(run.folder):
                    failed[run] = f"{_reason(run, process)} (see {_log(run)})"
    finally:
        _stop(running.values())
        progress.show(len(waiting) + len(running), 0, len(failed), last=True)
    if failed:
        lines = "; ".join(f"{_name(run)}: {reason}" for run, reason in failed.items())
        raise UserError(f"{len(failed)} of {progress.total} runs failed: {lines}")


def is_finished(folder):
    return RunFolder(folder).is_finished()


class Progress:
    """Prints one line: runs done, running and failed, and the time left, estimated from the runs of this sweep."""

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
    """Marks the runs that start from a failed run as failed."""
    folders = {run.folder for run in failed}
    for run in [run for run in waiting if run.after in folders]:
        waiting.remove(run)
        failed[run] = f"starts from {run.after}, which failed"
        folders.add(run.folder)


def _next_ready(waiting):
    """Returns the first run that can start; None if every run waits for another run."""
    return next((run for run in waiting if run.after is None or is_finished(run.after)), None)


def _start(run, jobs, arguments):
    log = _log(run)
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as file:
            before = file.tell()
            process = subprocess.Popen(
                [*PROGRAM, *arguments, *run.command()],
                env=_environment(jobs),
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent,
            )
        process.logged_before = before
        return process


def _end_with_parent():
    """Called in the new process: asks Linux to end it like Ctrl-C does, if the sweep is killed."""
    with contextlib.suppress(OSError, AttributeError):  # on other systems the run continues
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _environment(jobs):
    """Gives each process its share of the cores and of a GPU's memory; variables that the user has set win."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    shares = {
        "TF_NUM_INTRAOP_THREADS": threads,
        "OMP_NUM_THREADS": threads,
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / jobs:.2f}",
    }
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**(shares if jobs > 1 else {}), **os.environ, "PYTHONPATH": path}


def _stop(processes):
    """Ends the processes that still run; each has saved its last finished epoch."""
    for process in processes:
        process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


def _log(run):
    return run.folder.with_name(f"{run.folder.name}.log")


def _reason(run, process):
    """The error line of what a process has logged; without one how it ended, and its last line."""
    lines = _log(run).read_bytes()[process.logged_before :].decode(errors="replace").strip().splitlines()
    if errors := [line for line in lines if line.startswith("error: ")]:
        return errors[-1]
    ended = f"ended with status {process.returncode}"
    if process.returncode < 0:
        ended = f"ended by signal {-process.returncode} ({signal.strsignal(-process.returncode)})"
    return f"{ended}; last line: {lines[-1]}" if lines else ended


def _name(run):
    return f"{run.row}, {run.column}, seed {run.seed}"
