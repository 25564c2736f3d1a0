"""The public names: what importing the package costs, and that type checkers see what runs."""

import ast
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

import bbn_tf

ROOT = pathlib.Path(__file__).parents[2]
LOOK = """
import json, os, sys
for name in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL"):
    os.environ.pop(name, None)
before = dict(os.environ)
import bbn_tf
bbn_tf.UserError, bbn_tf.Config
unchanged = before == dict(os.environ)
import bbn_tf.__main__
heavy = {"keras", "tensorflow", "jax", "sklearn", "matplotlib"} & set(sys.modules)
print(json.dumps([sorted(heavy), unchanged, os.environ["TF_ENABLE_ONEDNN_OPTS"]]))
"""


def test_an_import_imports_neither_keras_nor_tensorflow_and_sets_nothing():
    """Only the program sets TensorFlow's environment, before it is imported."""
    process = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(process.stdout) == [[], True, "1"]


def test_type_checkers_see_the_names_where_they_are():
    tree = ast.parse(pathlib.Path(bbn_tf.__file__).read_text())
    seen = {a.name: n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == bbn_tf._MODULES
    for name, module in seen.items():
        assert getattr(bbn_tf, name) is getattr(importlib.import_module(module), name)
    assert {*bbn_tf.__all__, "__version__"} == set(dir(bbn_tf))
    assert (pathlib.Path(bbn_tf.__file__).parent / "py.typed").is_file()


def test_there_is_no_other_name():
    with pytest.raises(AttributeError, match="^module 'bbn_tf' has no attribute 'stream'$"):
        bbn_tf.stream  # noqa: B018


def test_a_backend_that_the_networks_do_not_run_on_is_one_line():
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, "-c", "import bbn_tf; bbn_tf.streams"]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    last = process.stderr.splitlines()[-1]
    assert last == "bbn_tf.errors.UserError: KERAS_BACKEND=torch: must be tensorflow or jax"
