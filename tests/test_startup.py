"""What is seen of TensorFlow's start. The TensorFlow here is a file of a few lines, which starts at once."""

import os
import pathlib
import subprocess
import sys

import pytest

from bbn_tf import startup

ROOT = pathlib.Path(__file__).parents[1]
NOTICES = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795635456.964191   20233 port.cc:153] oneDNN custom operations are on. You may see slightly different ...
I0000 00:00:1795635456.964752   20233 cudart_stub.cc:31] Could not find cuda drivers on your machine, ...
I0000 00:00:1795635684.982526   26401 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available ...
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate ...
"""
NO_DRIVER = "E0000 00:00:1795635467.448508   20233 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA ...\n"
OTHER = "E0000 00:00:1795635467.448508   20233 some.cc:1] something else\nUserWarning: NumPy is too old\n"
WRITES = f"import os\nos.write(2, {(NOTICES + OTHER).encode()!r})\n"
ALONE = "from bbn_tf import startup\nwith startup.held_back():\n    import tensorflow\nprint('started')"


def test_without_a_gpu_it_is_no_news_that_there_is_no_driver():
    assert startup.what_matters(NOTICES + NO_DRIVER + OTHER, gpu=False) == OTHER
    assert startup.what_matters(NOTICES + NO_DRIVER + OTHER, gpu=True) == NO_DRIVER + OTHER


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Function (lines of a package that is called tensorflow, Python's arguments) -> the process that imported it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    (tmp_path / "tmp").mkdir()

    def run(lines, *arguments):
        (tmp_path / "tensorflow.py").write_text(lines)
        (tmp_path / "keras.py").write_text("import tensorflow")
        command = [sys.executable, *(arguments or ("-c", ALONE))]
        process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert not list((tmp_path / "tmp").iterdir())  # what was held back is gone, too
        return process

    return run


def test_a_start_shows_what_matters(start):
    process = start(WRITES)
    assert (process.stdout, process.stderr) == ("started\n", OTHER)


def test_whoever_asks_for_all_lines_gets_them(start, monkeypatch):
    monkeypatch.setenv(*startup.ALL_LINES.split("="))
    assert start(WRITES).stderr == NOTICES + OTHER


def test_a_failed_import_shows_all_lines_before_the_error(start):
    process = start(WRITES + "raise ImportError('libfoo.so is missing')", ROOT / "main.py")
    assert process.stderr.startswith(NOTICES + OTHER + "error: ")
    assert process.stderr.splitlines()[-1].endswith("can't be imported (libfoo.so is missing); install it with pip")
    assert process.returncode == 1


@pytest.mark.parametrize("end", ["os.abort()", "os.kill(os.getpid(), 9)"])
def test_a_process_that_is_ended_in_its_import_still_shows_them(start, end):
    process = start(WRITES + end)
    assert process.returncode < 0 and process.stderr == NOTICES + OTHER


def test_a_gpu_that_tensorflow_cant_use_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(startup, "GPU_FILES", (f"{tmp_path}/nvidia[0-9]*",))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / "nvidiactl").touch()  # not a GPU
    assert startup.unused_gpu([]) is None
    (tmp_path / "nvidia0").touch()
    assert "pip install -r requirements-gpu.txt" in startup.unused_gpu([])
    assert startup.unused_gpu(["GPU:0"]) is None
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert startup.unused_gpu([])
    for hidden in ("", "-1"):  # as somebody wants it
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert startup.unused_gpu([]) is None


def test_the_gpus_tensorflow_is_that_of_the_cpu():
    ranges = [
        next(
            line.partition(" ")[0]
            for line in (ROOT / f"requirements{name}.txt").read_text().splitlines()
            if start in line
        )
        for name, start in (("", "tensorflow>="), ("-gpu", "tensorflow[and-cuda]>="))
    ]
    assert ranges[0] == ranges[1].replace("[and-cuda]", "")
