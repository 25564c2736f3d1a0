"""Runs made by the version before the package was split: see tests/fixtures/README.md.

The figures below are that version's, measured with these very runs.
"""

import json
import pathlib
import shutil

import numpy as np
import pytest

from bbn_tf.modes import build, export
from bbn_tf.runs.folder import RunFolder
from tests.in_process import parse, run

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
ONE_IMAGE = 100 / 600 + 1e-6
RESUMED = {  # epoch -> loss, of the unfinished run when that version resumed it
    1: 1.9511399269104004,
    2: 1.572143793106079,
    3: 1.2688379287719727,
    4: 2.2916693687438965,
    5: 2.000929832458496,
    6: 1.947553038597107,
}
RESUMED_ERRORS = {"top1_error": 77.66666666666666, "many_error": 3.3333333333333326, "few_error": 89.44444444444444}
PROBED_ERROR = 72.66666666666667  # tau_norm after the finished run
PROBABILITIES = {  # class 0, 1, 2 of the test images 0, 60 and 120
    0: [0.781945, 0.001305, 0.016512],
    60: [0.007094, 0.421913, 0.100440],
    120: [0.109481, 0.040069, 0.138276],
}


@pytest.fixture
def copied(tmp_path):
    def copy(name):
        return pathlib.Path(shutil.copytree(FIXTURES / name, tmp_path / name))

    return copy


def test_a_finished_run_evaluates_to_its_figures(copied):
    folder = copied("bbn_finished")
    recorded = json.loads((folder / "metrics.json").read_text())
    from bbn_tf.modes.evaluate import evaluate

    figures = evaluate(parse("--mode=evaluate", f"--model_dir={folder}", "--num_devices=1"))
    for name in ("top1_error", "many_error", "medium_error", "few_error", "conventional_error", "rebalancing_error"):
        assert figures[name] == pytest.approx(recorded[name], abs=ONE_IMAGE if name == "top1_error" else 2), name


def test_it_is_left_alone_by_its_own_flags(copied, capsys):
    folder = copied("bbn_finished")
    assert run(f"--flagfile={folder / 'flags.txt'}", f"--model_dir={folder}", "--num_devices=1") == (0, "")
    assert "already finished" in capsys.readouterr().out


def test_it_predicts_what_it_did(copied):
    folder = copied("bbn_finished")
    dataset = build.dataset(parse("--mode=evaluate", f"--model_dir={folder}"))
    serving = export.Serving(build.load_model(RunFolder(folder)), export.read_facts(RunFolder(folder)))
    seen = serving.image(dataset.eval_items[list(PROBABILITIES)])["probabilities"].numpy()
    np.testing.assert_allclose(seen[:, :3], list(PROBABILITIES.values()), atol=1e-4)


def test_it_exports(copied):
    folder = copied("bbn_finished")
    assert run("--mode=export", f"--model_dir={folder}") == (0, "")
    facts = json.loads((folder / "export" / "1" / "assets.extra" / "run.json").read_text())
    assert facts["settings"]["model"] == "bbn" and facts["class_names"] == [str(digit) for digit in range(10)]


def test_it_is_probed(copied, tmp_path):
    folder, second = copied("bbn_finished"), tmp_path / "second"
    arguments = ("--mode=probe", f"--from_run={folder}", "--classifier=tau_norm", "--num_devices=1")
    assert run(*arguments, f"--model_dir={second}") == (0, "")
    assert RunFolder(second).read_metrics()["top1_error"] == pytest.approx(PROBED_ERROR, abs=ONE_IMAGE)


def test_an_unfinished_run_resumes_to_the_same_losses(copied):
    folder = copied("plain_unfinished")
    assert run(
        f"--flagfile={folder / 'flags.txt'}", f"--model_dir={folder}", "--num_devices=1", "--nodeterministic"
    ) == (
        1,
        f"error: --model_dir={folder}: holds a run with --deterministic=True, not False; name another folder, or start "
        "again with --overwrite",
    )
    assert run(f"--flagfile={folder / 'flags.txt'}", f"--model_dir={folder}", "--num_devices=1") == (0, "")
    rows = RunFolder(folder).read_history()
    for row in rows:  # processors round differently, which grows from epoch to epoch; other draws differ by more
        epoch = int(row["epoch"])
        close = 1e-9 if epoch < 3 else 5e-4 if epoch == 3 else 1e-2
        assert float(row["loss"]) == pytest.approx(RESUMED[epoch], rel=close), epoch
    assert len(rows) == len(RESUMED)
    figures = RunFolder(folder).read_metrics()
    for name, error in RESUMED_ERRORS.items():
        assert figures[name] == pytest.approx(error, abs=4 * ONE_IMAGE if name == "top1_error" else 1.7), name
    assert [row["top1_error"] != "" for row in rows] == [False, True, False, True, False, True]
