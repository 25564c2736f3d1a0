"""Python programs in processes of their own that start at once: forked from one that has imported TensorFlow.

To import it takes 7 s of a processor, more than what most of these programs then do.
"""

import io
import multiprocessing
import multiprocessing.reduction
import os
import pathlib
import runpy
import signal
import sys
import threading

ROOT = pathlib.Path(__file__).parents[1]


def _be(words, cwd, environment, outputs):
    """In the forked process: what `python WORDS` does."""
    for number, (stream, output) in enumerate(zip(("stdout", "stderr"), outputs, strict=True), start=1):
        end = output.detach()
        os.dup2(end, number)
        os.close(end)
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        setattr(sys, stream, io.TextIOWrapper(raw, environment.get("PYTHONIOENCODING"), line_buffering=True))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the process that is forked ignores
    kind, *sys.argv = words if words[0] in ("-c", "-m") else ("", *words)
    if kind == "-m":
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        exec(compile(sys.argv[0], "-c", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


class _Reader(threading.Thread):
    """Reads all that is written to a pipe."""

    def __init__(self, end):
        super().__init__(daemon=True)
        self.end, self.text = end, ""
        self.start()

    def run(self):
        with open(self.end, encoding="utf-8", errors="replace") as file:
            self.text = file.read()


class Process:
    """`subprocess.Popen([sys.executable, *words], text=True, cwd=cwd)` with pipes for both outputs.

    Args:
        environment: variables, beside those of the tests.
    """

    def __init__(self, *words, cwd=ROOT, **environment):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.imported"])
        pipes = [os.pipe() for _ in range(2)]
        self._readers = [_Reader(end) for end, _ in pipes]
        outputs = [multiprocessing.reduction.DupFd(end) for _, end in pipes]
        arguments = ([*map(str, words)], str(cwd), {**os.environ, **environment}, outputs)
        self._process = context.Process(target=_be, args=arguments)
        self._process.start()
        for _, end in pipes:
            os.close(end)

    def poll(self):
        """Exit status, minus the signal's number for what a signal ended, or None while it runs."""
        return self._process.exitcode

    returncode = property(poll)

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, seconds=600):
        """Waits until it and its children have ended: (stdout, stderr)."""
        for thing in (self._process, *self._readers):
            thing.join(seconds)
            assert not thing.is_alive(), f"still running after {seconds} s"
        self.stdout, self.stderr = (reader.text for reader in self._readers)
        return self.stdout, self.stderr


def run(*words, **options):
    """A `Process` that has ended, with what it wrote in `stdout` and `stderr`."""
    process = Process(*words, **options)
    process.communicate()
    return process
