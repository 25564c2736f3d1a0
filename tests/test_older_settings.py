"""Every flag file and plan parses to the settings that it had before the package was split."""

import json
import pathlib

import pytest

from bbn_tf import flags
from bbn_tf.config import DEFAULT_TEXTS
from bbn_tf.modes.sweep import read_plan
from bbn_tf.runs.plan import Plan

ROOT = pathlib.Path(__file__).parents[1]
OLD = json.loads((ROOT / "tests" / "fixtures" / "settings.json").read_text())


def assert_same(settings, differing):
    """What an older version did not know is at its default."""
    expected = {**OLD["default"], **differing}
    expected = {name: text for name, text in expected.items() if text is not None}
    for name in {*settings, *expected}:
        if name in expected:
            assert settings.get(name) == expected[name], name
        else:
            assert settings[name] in DEFAULT_TEXTS[name], name


@pytest.mark.parametrize("name", OLD["flag_files"])
def test_flag_files(name):
    arguments = [f"--flagfile=flags/{name}"]
    if name in ("inaturalist2017.flags", "inaturalist2018.flags"):
        arguments.append("--data_dir=x")
    if "mode" in OLD["flag_files"][name]:
        arguments.append("--from_run=RUN")
    config = flags.parse(arguments, lambda folder: dict(OLD["first_stage"]))
    settings = {name: text for name, text in config.settings().items() if name != "from_run"}
    assert_same(settings, OLD["flag_files"][name])


@pytest.mark.parametrize("name", OLD["plans"])
def test_plans(name):
    plan, settings, seen = Plan(ROOT / "flags" / "plans" / name, "RUNS"), {}, set()
    for run in plan.runs():
        if run.seed == plan.seeds[0]:
            settings[str(run.folder)] = flags.parse(run.command(), settings.get).settings()
            place = f"{run.row} | {run.column}"
            seen.add(place)
            if place in OLD["plans"][name]:
                assert_same(settings[str(run.folder)], OLD["plans"][name][place])
    assert seen >= set(OLD["plans"][name])


@pytest.mark.parametrize("name", OLD["flag_files"])
def test_flag_files_are_found_from_an_empty_folder(name, tmp_path, monkeypatch):
    """What a flag file names is looked for here, beside it and in the project."""
    monkeypatch.chdir(tmp_path)
    arguments = [f"--flagfile={ROOT / 'flags' / name}", "--data_dir=x"]
    if "mode" in OLD["flag_files"][name]:
        arguments.append("--from_run=RUN")
    flags.parse(arguments, lambda folder: dict(OLD["first_stage"]))


@pytest.mark.parametrize("name", OLD["plans"])
def test_plans_are_found_from_an_empty_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = flags.parse(["--mode=sweep", f"--plan={ROOT / 'flags' / 'plans' / name}"])
    plan, settings = read_plan(config), {}
    for run in plan.runs():
        settings[str(run.folder)] = flags.parse(run.command(), settings.get).settings()
