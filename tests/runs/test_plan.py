import pathlib
import re

import pytest

from bbn_tf import flags
from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.modes.sweep import check_plan
from bbn_tf.runs.folder import RunFolder
from bbn_tf.runs.found_runs import FoundRuns
from bbn_tf.runs.plan import Plan

ROOT = pathlib.Path(__file__).parents[2]
PLANS = sorted((ROOT / "flags" / "plans").glob("*.toml"))
PLAN = """
seeds = [3, 4]
flags = ["--epochs=9", "--lr_milestones="]
[columns]
"IF 10" = ["--imbalance_factor=10"]
"IF 50" = ["--imbalance_factor=50"]
[rows."Two, stages"]
flags = ["--mode=probe", "--sampler=balanced"]
from = "CE"
[rows.CE]
flags = ["--flagfile=flags/ce.flags"]
paper = {"IF 10" = 12.5}
[rows."Other data"]
flags = ["--mode=probe"]
from = "Two, stages"
from_column = "IF 50"
columns = ["IF 10"]
"""


PAPER = 'paper = {"IF 10" = 12.5}'


ERRORS, GRID, E = 'kind="errors"', 'kind="grid"', 'title="E"'


def picture(*lines):
    return "\n".join(["[[pictures]]", *lines, "[rows.CE]"])


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "plan.toml"
        path.write_text(content)
        return Plan(path, tmp_path / "runs")

    return write


def test_runs_by_hand(write):
    plan = write(PLAN)
    runs = plan.runs()
    assert [run.row for run in runs] == ["CE"] * 4 + ["Two, stages"] * 4 + ["Other data"] * 2  # first stages first
    places = [str(run.folder.relative_to(plan.folder)) for run in runs]
    assert places[:3] == ["ce/if_10/seed3", "ce/if_10/seed4", "ce/if_50/seed3"]
    assert runs[0].command() == [
        "--imbalance_factor=10",
        "--flagfile=flags/ce.flags",
        "--epochs=9",
        "--lr_milestones=",
        "--seed=3",
        f"--model_dir={plan.folder}/ce/if_10/seed3",
    ]
    assert runs[4].after == runs[0].folder and "--epochs=9" not in runs[4].command()
    assert f"--from_run={runs[0].folder}" in runs[4].command()
    assert runs[-1].after == plan.folder / "two_stages/if_50/seed4" and runs[-1].column == "IF 10"
    check_plan(plan)


def test_a_plans_runs_are_what_their_flags_say(write):
    plan = write(PLAN)
    check_plan(plan)
    config = flags.parse(plan.runs()[0].command())
    assert (config.model, config.epochs, config.seed, config.imbalance_factor) == ("plain", 9, 3, 10)


PRETRAINED = """
seeds = [3, 4]
flags = ["--eval_every=0"]
[columns]
whole = ["--imbalance_factor=1"]
tail = ["--imbalance_factor=50"]
[rows."BBN, fine-tuned"]
flags = ["--model=bbn", "--freeze=trunk"]
columns = ["tail"]
init_from = "Pretrained"
from_column = "whole"
[rows.Pretrained]
flags = ["--model=plain"]
columns = ["whole"]
seeds = [3]
"""


def test_a_row_that_starts_with_the_weights_of_another_rows_only_run(write):
    plan = write(PRETRAINED)
    first, *others = plan.runs()
    assert [(run.row, run.seed) for run in plan.runs()] == [
        ("Pretrained", 3),
        ("BBN, fine-tuned", 3),
        ("BBN, fine-tuned", 4),
    ]
    assert first.folder == plan.folder / "pretrained" / "whole" / "seed3" and first.after is None
    assert all(run.after == first.folder for run in others)
    assert others[1].command() == [
        "--imbalance_factor=50",
        "--model=bbn",
        "--freeze=trunk",
        "--eval_every=0",  # a whole training, so it has the plan's flags
        "--seed=4",
        f"--init_from={first.folder}",
        f"--model_dir={plan.folder}/bbn_fine_tuned/tail/seed4",
    ]
    check_plan(plan)


ONE_SEED, ITS_START = "seeds = [3]\n", 'init_from = "Pretrained"'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (ITS_START, 'init_from = "X"', "row 'BBN, fine-tuned' starts from 'X', which is not a row"),
        (ITS_START, 'init_from = "BBN, fine-tuned"', "starts from 'BBN, fine-tuned' in column 'whole', which"),
        (ITS_START, f'{ITS_START}\nfrom = "Pretrained"', "has both from and init_from, must have one of them"),
        (ITS_START, "", "row 'BBN, fine-tuned' has from_column without from or init_from"),
        ('"--freeze=trunk"', '"--init_from=x"', "row 'BBN, fine-tuned' has --init_from, but starts from the run of"),
        (ONE_SEED, "seeds = [3, 5]\n", "starts from 'Pretrained' with seeds [4], which 'Pretrained' lacks"),
        (ONE_SEED, "seeds = 3\n", "row 'Pretrained': seeds must be a list of whole numbers, each once"),
    ],
)
def test_what_has_no_meaning_with_such_a_row(old, new, message, write):
    assert old in PRETRAINED
    with pytest.raises(UserError, match=re.escape(message)):
        write(PRETRAINED.replace(old, new))


def test_weights_of_another_network_are_refused_before_any_run(write):
    other = PRETRAINED.replace("--freeze=trunk", "--backbone=resnet8")
    with pytest.raises(UserError, match="BBN, fine-tuned, tail: --backbone=resnet8: must be that of .* --backbone=res"):
        check_plan(write(other))


def test_validating_on_what_the_weights_are_made_of_is_refused_before_any_run(write):
    plan = PRETRAINED.replace('"--freeze=trunk"', '"--freeze=trunk", "--validation_fraction=0.2"')
    with pytest.raises(UserError, match="BBN, fine-tuned, tail: --validation_fraction=0.2: must be 0 as of .*whole"):
        check_plan(write(plan))
    check_plan(write(plan.replace("fraction=0.2", 'fraction=0.2", "--evaluate_on=test')))


def test_weights_of_a_second_stage_are_refused_before_any_run(write):
    """Its trunk is within a part of its own."""
    second = '[rows.Second]\nflags = ["--mode=probe"]\ncolumns = ["whole"]\nseeds = [3]\nfrom = "Pretrained"\n'
    with pytest.raises(UserError, match="BBN, fine-tuned, tail: init_from: .* is a second stage; must be the run"):
        check_plan(write(PRETRAINED.replace(ITS_START, 'init_from = "Second"') + second))


def test_a_row_may_repeat_a_second_stage_of_a_run_outside_the_plan(write, tmp_path):
    first, second = (RunFolder(tmp_path / name) for name in ("first", "second"))
    first.prepare(flags.parse(["--model=plain"]).settings(), overwrite=False)
    settings = flags.parse(["--mode=probe", f"--from_run={first.path}", "--classifier=tau_norm"]).settings()
    second.prepare(settings, overwrite=False)
    plan = write(f'seeds = [0]\n[columns]\ndigits = []\n[rows.A]\nflags = ["--flagfile={second.flags_file}"]\n')
    check_plan(plan)
    first.flags_file.unlink()
    with pytest.raises(UserError, match="A, digits: --from_run=.*first: not a run folder"):
        check_plan(plan)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_plan_parses_and_begins_with_a_comment(path, tmp_path):
    assert path.read_text().startswith("# ") and "--mode=sweep" in path.read_text()
    plan = Plan(path, tmp_path)
    check_plan(plan)
    assert len({run.folder for run in plan.runs()}) == len(plan.runs())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [3, 4]", "seeds = 3", "the file: seeds must be a list of whole numbers, each once"),
        ("seeds = [3, 4]", "seeds = [3, 3]", "the file: seeds must be a list of whole numbers, each once"),
        ("seeds = [3, 4]", "seeds = [true]", "the file: seeds must be a list of whole numbers, each once"),
        ("seeds = [3, 4]", "title = [1]", "the file: title must be a text"),
        (
            "seeds = [3, 4]",
            "seed = [3]",
            "the file has 'seed', must be one of columns, flags, pictures, rows, seeds, title",
        ),
        ("seeds = [3, 4]", 'pictures = "x"', "the file: pictures must be [[pictures]]"),
        ("[columns]", "[pictures]\nkind = 1\n[columns]", "the file: pictures must be [[pictures]]"),
        ("[columns]", "[colums]", "the file has 'colums'"),
        ('"IF 50" =', '"if-10" =', "two names give the same folder: ['if_10', 'if_10']"),
        ('"IF 50" =', '"β" =', "a name has no letter and no digit: ['IF 10', 'β']"),
        ('from = "CE"', 'from = "BBN"', "row 'Two, stages' starts from 'BBN', which is not a row"),
        ('from = "CE"', 'from = ["CE"]', "row 'Two, stages': from must be a text"),
        ('from = "CE"', 'from = "Two, stages"', "row 'Two, stages' starts from itself"),
        ('from = "CE"', 'form = "CE"', "row 'Two, stages' has 'form', must be one of columns, flags, from"),
        ('from = "CE"', 'from_column = "IF 10"', "row 'Two, stages' has from_column without from"),
        (PAPER, 'paper = {"IF 1" = 12.5}', "row 'CE' names 'IF 1', which is not a column"),
        (PAPER, 'paper = {"IF 10" = "12.5"}', "row 'CE': paper must be a table of numbers"),
        (PAPER, "paper = 12.5", "row 'CE': paper must be a table of numbers"),
        (PAPER, "columns = 5", "row 'CE': columns must be a list of texts, each once"),
        (PAPER, "columns = []", "row 'CE': columns must be a list of texts, each once"),
        (PAPER, 'columns = ["IF 10", "IF 10"]', "row 'CE': columns must be a list of texts, each once"),
        (PAPER, 'columns = ["IF 10"]', "starts from 'CE' in column 'IF 50', which 'CE' does not have"),
        ('flags = ["--flagfile=flags/ce.flags"]', "", "row 'CE' needs flags"),
        ("[rows.CE]", "[rows]\nCE = 5\n[rows.X]", "the file: rows must be a table of tables"),
        ('["--imbalance_factor=10"]', '"--imbalance_factor=10"', "the file: columns must be a table of lists of flags"),
        ("--epochs=9", "--seed=9", "has --seed, but each run gets it from its place in the table"),
        ("--sampler=balanced", "--from_run=x", "has --from_run, but each run gets it from its place in the table"),
        ("[columns]", "[columns", "can't be read as TOML"),
        ("[rows.CE]", picture(ERRORS, 'title=""'), "picture 'errors': title must be a text"),
        (
            "[rows.CE]",
            picture(ERRORS, E, 'rows=["X"]'),
            "picture 'errors' names 'X', which is not a row",
        ),
        (
            "[rows.CE]",
            picture(ERRORS, E, "rows=5"),
            "picture 'errors': rows must be a list of texts",
        ),
        (
            "[rows.CE]",
            picture(ERRORS, E, 'column="X"'),
            "picture 'errors' names 'X', which is not a col",
        ),
        (
            "[rows.CE]",
            picture(ERRORS, E, 'colour="red"'),
            "picture 'errors' has 'colour', must be one of",
        ),
        ("[rows.CE]", picture('kind="pie"', E), "a picture has kind 'pie', must be one of errors"),
        ("[rows.CE]", picture(GRID, E), "picture 'grid' needs across"),
        (
            "[rows.CE]",
            picture(GRID, E, 'across=["A"]', 'down=["B"]'),
            "names 'A + B', which is not a row",
        ),
        ("[rows.CE]", picture('kind="norms"'), "picture 'norms' needs title"),
    ],
)
def test_what_has_no_meaning_is_refused(old, new, message, write):
    assert old in PLAN
    with pytest.raises(UserError, match=re.escape(message)):
        write(PLAN.replace(old, new))


def test_a_plan_that_is_none(tmp_path):
    with pytest.raises(UserError, match="none.toml: can't be read as TOML: No such file or directory"):
        Plan(tmp_path / "none.toml", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--sampler=balanced", "--smapler=balanced", "Two, stages, IF 10: .*Unknown command line flag 'smapler'"),
        (
            "--sampler=balanced",
            "--backbone=resnet8",
            "Two, stages, IF 10: --backbone: has no meaning with",
        ),
        ("--epochs=9", "--epochs=0", "CE, IF 10: --epochs=0: must be at least 1"),
        ("--epochs=9", "--mode=export", "CE, IF 10: .*"),
        ("--epochs=9", "--mode=compare", "CE, IF 10: --mode=compare is not a run"),
    ],
)
def test_flags_are_checked_before_any_run(old, new, message, write):
    with pytest.raises(UserError, match=message):
        check_plan(write(PLAN.replace(old, new)))


def test_runs_found_below_a_folder(tmp_path):
    """By name without the seed, and by data; what is not finished, or no run, is left out."""
    places = {  # a second stage's default name has the seed twice
        "ce_seed0_lws_seed0": {"seed": 0},
        "ce_seed1_lws_seed1": {"seed": 1},
        "deep/bbn/seed0": {"imbalance_factor": 10.0},
        "held_out": {"validation_fraction": 0.25},
        "unfinished": {},
    }
    for name, settings in places.items():
        RunFolder(tmp_path / name).prepare(Config(**settings).settings(), overwrite=False)
        if name != "unfinished":
            (tmp_path / name / "metrics.json").write_text("{}")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "metrics.json").write_text("{}")
    found = FoundRuns(tmp_path)
    assert [(run.row, run.column, run.seed) for run in found.runs()] == [
        ("ce_lws", "digits_lt, IF 50", "0"),
        ("ce_lws", "digits_lt, IF 50", "1"),
        ("deep/bbn", "digits_lt, IF 10", "0"),
        ("held_out", "digits_lt, IF 50, held-out training images", "0"),
    ]
    assert list(found.rows) == ["ce_lws", "deep/bbn", "held_out"] and len(found.columns) == 3
    assert [run.row for run in FoundRuns(tmp_path / "held_out").runs()] == ["held_out"]
    assert FoundRuns(tmp_path / "nowhere").runs() == []


def test_two_sets_of_one_kind_are_two_columns(tmp_path):
    data = [
        {"dataset": "tfds", "tfds_name": "flowers"},
        {"dataset": "tfds", "tfds_name": "food", "imbalance_factor": 10.0},
        {"dataset": "folder", "data_dir": "a/photos"},
        {"dataset": "list", "train_list": "a/train.csv", "data_dir": "a"},
        {"dataset": "inaturalist2018", "data_dir": "a"},
        {"dataset": "tfds", "tfds_name": "flowers", "tfds_splits": ("train[:80%]", "train[80%:]")},
        {"dataset": "cifar10_lt", "imbalance_profile": "step", "imbalance_seed": 3},
    ]
    for number, settings in enumerate(data):
        RunFolder(tmp_path / str(number)).prepare(Config(**settings).settings(), overwrite=False)
        (tmp_path / str(number) / "metrics.json").write_text("{}")
    assert [run.column for run in FoundRuns(tmp_path).runs()] == [
        *("tfds flowers", "tfds food, IF 10", "folder photos", "list train", "inaturalist2018"),
        *("tfds flowers train[:80%],train[80%:]", "cifar10_lt, IF 50, step, images of seed 3"),
    ]


def test_a_flag_file_of_bytes_is_refused_in_one_line(write, tmp_path):
    (tmp_path / "bytes.flags").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="CE, IF 10: .*codec can't decode"):
        check_plan(write(PLAN.replace("flags/ce.flags", str(tmp_path / "bytes.flags"))))
