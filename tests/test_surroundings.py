import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from bbn_tf import surroundings
from bbn_tf.choices import as_text
from bbn_tf.config import SETTINGS
from bbn_tf.errors import UserError
from bbn_tf.runs.folder import HEADER
from tests import forked
from tests.image_files import write_tree
from tests.in_process import parse

ROOT = pathlib.Path(__file__).parents[1]
STRANGE = {"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "tensorflow"}
SHOW = """
import json, keras
layer = keras.layers.Conv2D(1, 1)
settings = (keras.config.image_data_format(), keras.config.floatx(), keras.config.epsilon())
print(json.dumps([*settings, layer.data_format, layer.dtype]))
"""


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Function that writes keras.json's content (a dict or text) where Keras looks for it; returns its path."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS"):
        monkeypatch.delenv(name, raising=False)

    def write(content):
        (tmp_path / "keras").mkdir(exist_ok=True)
        path = tmp_path / "keras" / "keras.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def shown(*before):
    """What a new process shows of Keras after some lines."""
    process = forked.run("-c", "\n".join([*before, SHOW]))
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def test_the_program_settles_what_the_file_says_otherwise(keras_home):
    keras_home(STRANGE)
    settled = shown("from bbn_tf import surroundings", "surroundings.settle_keras()")
    assert settled == ["channels_last", "float32", 1e-7, "channels_last", "float32"]


def test_what_the_user_has_set_for_tensorflow_stays(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    surroundings.settle_tensorflow()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"


def test_importing_the_package_changes_nothing(keras_home):
    keras_home(STRANGE)
    assert shown("import bbn_tf.saving") == ["channels_first", "float16", 0.1, "channels_first", "float16"]


def test_the_backend_and_where_it_comes_from(keras_home, monkeypatch):
    assert surroundings.backend()[0] == "tensorflow"  # no file, no variable
    surroundings.check_keras()
    path = keras_home({"backend": "jax"})
    assert surroundings.backend() == ("jax", f'"backend": "jax" in {path}')
    surroundings.check_keras()
    keras_home({"backend": "torch"})
    with pytest.raises(UserError) as error:
        surroundings.check_keras()
    assert str(error.value) == f'"backend": "torch" in {path}: must be tensorflow or jax'
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # which Keras prefers
    assert surroundings.backend() == ("jax", "KERAS_BACKEND=jax")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UserError, match="^KERAS_BACKEND=torch: must be tensorflow or jax$"):
        surroundings.check_keras()
    monkeypatch.setenv("KERAS_BACKEND", "")  # as good as none
    assert surroundings.backend()[0] == "torch"


@pytest.mark.parametrize("content", ["no JSON", "{", "[1]", "{}"])
def test_a_file_without_a_backend(keras_home, content):
    keras_home(content)
    assert surroundings.backend()[0] == "tensorflow"


def test_the_files_place_without_keras_home(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert surroundings._keras_path() == f"{tmp_path}/.keras/keras.json"
    monkeypatch.setenv("KERAS_HOME", "~/mine")
    assert surroundings._keras_path() == f"{tmp_path}/mine/keras.json"


def test_a_file_that_keras_refuses_is_one_line(keras_home):
    path = keras_home({"floatx": "float8"})
    command = [sys.executable, "-c", "from bbn_tf import surroundings\nsurroundings.settle_keras()"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, env=os.environ)
    last = process.stderr.splitlines()[-1]
    assert last.startswith(f"bbn_tf.errors.UserError: {path}: Keras can't be imported with it (Invalid `floatx`")


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_legacy_keras_is_one_line(monkeypatch, value):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", value)
    with pytest.raises(UserError, match=f"^TF_USE_LEGACY_KERAS={value}: the program needs Keras 3; unset it$"):
        surroundings.check_keras()
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    surroundings.check_keras()


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"caf\\xe9 \\u65e5\n"), ("latin-1", b"caf\xe9 \\u65e5\n")])
def test_output_that_lacks_letters(monkeypatch, encoding, shown):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    surroundings.show_any_text()
    print("café 日")
    stream.flush()
    assert stream.buffer.getvalue() == shown


PATHS = {
    "train": ("model_dir", "data_dir", "init_from"),
    "probe": ("from_run",),
    "sweep": ("plan",),
    "describe": ("output", "data_dir"),
}


OF_LISTS = ("train_list", "eval_list", "validation_list", "class_names")


def test_every_path_is_known_as_one():
    known = {*sum(PATHS.values(), ()), *OF_LISTS, "images"}
    assert {name for name, setting in SETTINGS.items() if setting.path} == known


@pytest.mark.parametrize("name", OF_LISTS)
def test_the_home_folder_in_paths_of_lists(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    needed = ["--dataset=list", "--train_list=x", "--data_dir=x"]
    assert getattr(parse(*needed, f"--{name}=~/first"), name) == str(tmp_path / "first")


@pytest.mark.parametrize(("mode", "name"), [(mode, name) for mode, names in PATHS.items() for name in names])
def test_the_home_folder_in_paths(mode, name, tmp_path, monkeypatch):
    """From the shell, and from a flag file."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    first = tmp_path / "first"
    first.mkdir()
    (first / "flags.txt").write_text(f"{HEADER}\n--dataset=digits_lt\n--model=plain\n")
    needed = {"sweep": ["--plan=x"], "probe": [f"--from_run={first}"]}.get(mode, [])
    (tmp_path / "a.flags").write_text(f"--{name}=~/first\n")
    for arguments in ([f"--{name}=~/first"], ["--flagfile=~/a.flags"]):
        assert getattr(parse(f"--mode={mode}", *needed, *arguments), name) == str(first)
    if mode != "probe":  # which reads it
        assert getattr(parse(f"--mode={mode}", *needed, f"--{name}={first}/~"), name) == f"{first}/~"


NAMES = ["Ba$$in", 'a, "b"', "=1+1", "two\nlines", "\U0001f600"]


def test_a_training_in_strange_surroundings(keras_home, tmp_path):
    """Keras set up otherwise, an output that knows ASCII only, and class folders of any name."""
    keras_home(STRANGE)
    root = tmp_path / "Fotos \u65e5"
    for number, name in enumerate(NAMES):
        write_tree(tmp_path / "made" / str(number), {"ant": 6 + number})
        root.mkdir(exist_ok=True)
        os.rename(tmp_path / "made" / str(number) / "ant", root / name)
    settings = {"dataset": "folder", "data_dir": root, "image_size": 16, "model": "plain", "backbone": "tiny"}
    settings |= {"epochs": 1, "lr_milestones": "", "warmup_epochs": 0, "global_batch_size": 8}
    settings |= {"model_dir": tmp_path / "run"}
    words = (f"--{name}={as_text(value)}" for name, value in settings.items())
    process = forked.run("-m", "tests.tiny", *words, PYTHONIOENCODING="ascii")
    assert process.returncode == 0 and "Traceback" not in process.stderr, process.stderr
    with open(tmp_path / "run" / "evaluation.csv", newline="", encoding="utf-8") as file:
        written = {int(row["class_id"]): row["class"] for row in csv.DictReader(file)}
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["class_names"] == sorted(NAMES)
    assert [written[i] for i in range(5)] == ["'=1+1" if name == "=1+1" else name for name in sorted(NAMES)]
    with zipfile.ZipFile(tmp_path / "run" / "model.keras") as archive:
        model = archive.read("config.json").decode()
    assert "channels_last" in model and "channels_first" not in model and "float16" not in model


def test_legacy_keras_ends_the_program_in_one_line():
    process = subprocess.run(
        [sys.executable, ROOT / "main.py"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        check=False,
    )
    assert process.stderr == "error: TF_USE_LEGACY_KERAS=1: the program needs Keras 3; unset it\n"
    assert process.returncode == 1
