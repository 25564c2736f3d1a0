"""Python programs in processes of their own that start at once: forked from one that has imported TensorFlow.

To import it takes 7 s of a processor, more than what most of these programs then do.  What Python draws when it starts,
as the order of a set of strings, is the same in all of them.
"""

import atexit
import io
import multiprocessing
import os
import pathlib
import runpy
import signal
import sys
import threading

ROOT = pathlib.Path(__file__).parents[1]


def _be(words, cwd, environment, outputs):
    """In the forked process: what `python WORDS` does."""
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.fileno(), number)
        output.close()
    encoding = environment.get("PYTHONIOENCODING")
    raw = [io.BufferedWriter(io.FileIO(number, "w", closefd=False)) for number in (1, 2)]
    sys.stdout = io.TextIOWrapper(raw[0], encoding)
    sys.stderr = io.TextIOWrapper(raw[1], encoding, errors="backslashreplace", line_buffering=True)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which the process that is forked ignores
    kind, *sys.argv = words if words[0] in ("-c", "-m") else ("", *words)
    try:
        if kind == "-m":
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            exec(compile(sys.argv[0], "-c", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # as at the end of Python, but not of a process that it forked


class _Reader(threading.Thread):
    """Reads all that is written to a pipe, a `multiprocessing.connection.Connection`."""

    def __init__(self, pipe):
        super().__init__(daemon=True)
        self.pipe, self.content = pipe, b""
        self.start()

    def run(self):
        with self.pipe:
            while part := os.read(self.pipe.fileno(), 2**16):
                self.content += part


class Process:
    """`subprocess.Popen([sys.executable, *words], text=True, cwd=cwd)` with pipes for both outputs.

    Args:
        environment: variables, beside those of the tests.
    """

    def __init__(self, *words, cwd=ROOT, **environment):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.imported"])
        pipes, outputs = zip(*(context.Pipe(duplex=False) for _ in range(2)), strict=True)
        arguments = ([*map(str, words)], str(cwd), {**os.environ, **environment}, outputs)
        self._process = context.Process(target=_be, args=arguments, daemon=True)  # ends with the tests
        self._process.start()
        for output in outputs:
            output.close()
        self._readers = [_Reader(pipe) for pipe in pipes]

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
        for waited_for in (self._process, *self._readers):
            waited_for.join(seconds)
            if waited_for.is_alive():
                self.kill()
                raise AssertionError(f"still running after {seconds} s: {[reader.content for reader in self._readers]}")
        self.stdout, self.stderr = (reader.content.decode("utf-8", "replace") for reader in self._readers)
        return self.stdout, self.stderr


def run(*words, **options):
    """A `Process` that has ended, with what it wrote in `stdout` and `stderr`."""
    process = Process(*words, **options)
    process.communicate()
    return process
