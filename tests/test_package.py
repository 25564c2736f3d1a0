"""What pip installs: every module, flag file and plan, and the command."""

import importlib.metadata
import json
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

import bbn_tf

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DYNAMIC = PROJECT["tool"]["setuptools"]["dynamic"]
NEEDS = 77  # version of setuptools; see pyproject.toml
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
SHOW = """
import json
from bbn_tf import flags, surroundings
from bbn_tf.modes import sweep
config = flags.parse(["--flagfile=cifar10_lt.flags", "--flagfile=flags/ldam_drw.flags", "--imbalance_factor=10"])
plan = sweep.read_plan(flags.parse(["--mode=report", "--plan=table4.toml"]))
sweep.check_plan(plan, to_run=False)
print(json.dumps([config.loss, config.dataset, config.model_dir, len(plan.runs()) > 10, sweep.__file__]))
"""


def test_every_package_is_named():
    found = {path.parent.relative_to(ROOT) for path in (ROOT / "bbn_tf").rglob("*.py")}
    assert {".".join(path.parts) for path in found} | {"bbn_tf.recipes"} == set(
        PROJECT["tool"]["setuptools"]["packages"]
    )


def test_dependencies_stand_in_files_that_pip_and_setuptools_read():
    files = [*DYNAMIC["dependencies"]["file"], *DYNAMIC["optional-dependencies"]["export"]["file"]]
    assert files == ["requirements.txt", "requirements-export.txt"]
    lines = [line for name in files for line in (ROOT / name).read_text().splitlines()]
    assert not [line for line in lines if line.startswith("-")]
    assert "dependencies" not in PROJECT["project"] and len({line.split(">")[0] for line in lines}) == len(lines)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Path of a wheel of this project, built without a network from a copy."""
    if int(importlib.metadata.version("setuptools").split(".")[0]) < NEEDS:
        pytest.skip(f"setuptools is older than {NEEDS}; requirements-dev.txt has it")
    folder = tmp_path_factory.mktemp("package")
    for name in ("bbn_tf", "flags"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt", "requirements-export.txt"):
        shutil.copy(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-c", BUILD, "made"], cwd=folder, check=True, capture_output=True)
    (path,) = (folder / "made").glob("*.whl")
    return path


def test_the_wheel_holds_every_module_flag_file_and_plan(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "bbn_tf").rglob("*.py")}
    recipes = {path.relative_to(ROOT / "flags") for path in (ROOT / "flags").rglob("*.*")}
    assert len(recipes) > 40
    of_wheel = {name for name in held if ".dist-info/" not in name}
    assert of_wheel == modules | {"bbn_tf/py.typed"} | {f"bbn_tf/recipes/{path}" for path in recipes}


def test_the_command_and_what_it_needs(wheel):
    name = f"bbn_tf-{bbn_tf.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        commands, metadata = (archive.read(f"{name}/{file}").decode() for file in ("entry_points.txt", "METADATA"))
    assert commands == "[console_scripts]\nbbn-tf = bbn_tf.__main__:program\n"
    assert "Requires-Dist: tensorflow<2.22,>=2.21\n" in metadata
    assert 'Requires-Dist: tf2onnx<1.18,>=1.17; extra == "export"\n' in metadata
    assert f"\nVersion: {bbn_tf.__version__}\n" in metadata and "\nRequires-Python: >=3.11\n" in metadata


def shown(place, folder):
    """What `SHOW` prints from an empty folder, of the package at `place`."""
    process = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(place)!r})\n{SHOW}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    *settings, file = json.loads(process.stdout.splitlines()[-1])
    assert file.startswith(str(place)) and not list(folder.iterdir())
    return settings


def test_flag_files_and_plans_go_by_name_from_any_folder(wheel, tmp_path):
    """Of the installed package, and of a clone, which an editable install is, too."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    (tmp_path / "empty").mkdir()
    expected = ["ldam", "cifar10_lt", "saved_models/cifar10_lt_if10_plain_resnet32_uniform_deferred_epoch-120", True]
    for place in (tmp_path / "installed", ROOT):
        loss, dataset, folder, whole = shown(place, tmp_path / "empty")
        assert [loss, dataset, folder[: len(expected[2])], whole] == expected
