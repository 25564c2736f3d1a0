"""Data in memory and of TFDS: no run is tested or validated on what a run that it builds on was trained on."""

import dataclasses
import json
import pathlib
import shutil

import pytest

from bbn_tf.config import Config
from bbn_tf.data import tfds_origin
from bbn_tf.errors import UserError
from bbn_tf.modes import earlier_runs, run_images
from bbn_tf.runs.folder import RunFolder
from tests.data.test_tfds_records import TinyGrey, prepare
from tests.in_process import parse

FIGURES = {"epoch": 1, "top1_error": 1.0, "per_class_error": [], "class_counts": [], "class_names": []}
FIRST, TAIL = {"backbone": "resnet8"}, {"validation_fraction": 0.2, "imbalance_factor": 10.0}


@pytest.fixture
def made(tmp_path):
    """Function (name, **settings) -> folder of a run that has them."""

    def make(name, **settings):
        RunFolder(tmp_path / name).prepare(Config(**FIRST, **settings).settings(), overwrite=False)
        return str(tmp_path / name)

    return make


@pytest.fixture(scope="module")
def grey(tmp_path_factory):
    """TFDS's folder with 40 images to train on."""
    return prepare(tmp_path_factory.mktemp("tfds"), "tfrecord", TinyGrey)


def start(first, tmp_path, **settings):
    config = Config(**FIRST, init_from=first, model_dir=str(tmp_path / "next"), **settings)
    return run_images.dataset(config, RunFolder(config.model_dir))


@pytest.mark.parametrize(
    ("first", "told"),
    [
        ({"imbalance_factor": 10.0}, "--validation_fraction=0.2: must be 0 as of"),
        ({**TAIL, "imbalance_profile": "step"}, "--imbalance_profile=exp: must be step as of"),
        ({**TAIL, "validation_fraction": 0.1}, "--validation_fraction=0.2: must be 0.1 as of"),
        ({**TAIL, "imbalance_factor": 5.0}, "--imbalance_factor=10: must be 5 as of"),
        ({**TAIL, "imbalance_seed": 1}, "--imbalance_seed=0: must be 1 as of"),
        ({**TAIL, "seed": 1}, "--seed=0: must be 1 as of"),
    ],
)
def test_validation_images_are_those_that_the_earlier_run_held_out(first, told, made, tmp_path):
    folder = made("first", **first)
    with pytest.raises(UserError, match=f"^{told} {folder}, which this run builds on, or it would be validated on"):
        start(folder, tmp_path, **TAIL)
    assert start(folder, tmp_path, **TAIL, evaluate_on="test")[0].evaluated_on == "test"
    assert start(folder, tmp_path)[0].evaluated_on == "test"  # of which none is ever trained on
    assert start(made("same", **TAIL), tmp_path, **TAIL)[0].evaluated_on == "validation"


def test_also_of_runs_further_back_but_not_of_other_files(made, tmp_path, capsys):
    first = made("first")
    second = made("second", init_from=first, **TAIL, evaluate_on="test")
    with pytest.raises(UserError, match=f"must be 0 as of {first}"):
        start(second, tmp_path, **TAIL)
    RunFolder(first).prepare(Config(**FIRST, **TAIL, init_from=second).settings(), overwrite=True)  # in a circle
    assert start(second, tmp_path, **TAIL)[0].evaluated_on == "validation"
    (tmp_path / "first" / "weights.h5").write_bytes(b"")
    assert start(f"{first}/weights.h5", tmp_path, **TAIL)[0].evaluated_on == "validation"
    capsys.readouterr()
    shutil.rmtree(first)
    assert start(second, tmp_path, **TAIL)[0].evaluated_on == "validation"
    assert capsys.readouterr().out.startswith(f"note: {first}: a run that this one builds on is not there: if it was")
    (tmp_path / "second" / "flags.txt").write_text("--seed=1")
    (tmp_path / "second" / "model.keras").write_bytes(b"")
    start(f"{second}/model.keras", tmp_path, **TAIL)
    assert "which run it is of can't be known" in capsys.readouterr().out


def test_evaluating_on_images_that_the_run_itself_did_not_report_on(made):
    first = made("first")
    second = made("second", init_from=first, **TAIL, evaluate_on="test")
    (pathlib.Path(second) / "metrics.json").write_text(json.dumps({**FIGURES, "evaluated_on": "test"}))
    run_images.of_finished(parse("--mode=evaluate", f"--model_dir={second}"), RunFolder(second))
    validated = parse("--mode=evaluate", f"--model_dir={second}", "--evaluate_on=validation")
    with pytest.raises(UserError, match=f"^--validation_fraction=0.2: must be 0 as of {first}"):
        run_images.of_finished(validated, RunFolder(second))
    (pathlib.Path(second) / "metrics.json").write_text(json.dumps({**FIGURES, "evaluated_on": "validation"}))
    run_images.of_finished(validated, RunFolder(second))  # as an older version reported it


def test_a_run_that_has_begun_goes_on(made, tmp_path):
    """As an older version let it begin."""
    first = made("first")
    (tmp_path / "next" / "checkpoint").mkdir(parents=True)
    (tmp_path / "next" / "checkpoint" / "epoch-0001.npz").write_bytes(b"")
    assert start(first, tmp_path, **TAIL)[0].evaluated_on == "validation"


@pytest.mark.parametrize("stage", ["init_from", "from_run"])
@pytest.mark.parametrize(
    ("trained_on", "splits", "refused"),
    [
        ("train,validation", "train,validation", False),
        ("train,validation", "train[:50%],train[50%:]", True),
        ("train[:50%],validation", "train[25%:50%],train[50%:]", False),
        ("train[:60%],validation", "train[:50%],train[50%:]", True),
        ("validation,train", "train,validation", True),
        ("train+validation,test", "train,validation", True),
    ],
)
def test_parts_of_tfds_splits(stage, trained_on, splits, refused, made, grey, tmp_path):
    data = {"dataset": "tfds", "tfds_name": "tiny_grey"}
    first = made("first", **data, tfds_splits=tuple(trained_on.split(",")))
    arguments = ["--dataset=tfds", "--tfds_name=tiny_grey:1.0.0", f"--tfds_splits={splits}", f"--data_dir={grey}"]
    arguments += [f"--{stage}={first}", f"--model_dir={tmp_path / 'next'}"]
    config = parse(*arguments, *(["--mode=probe"] if stage == "from_run" else ["--backbone=resnet8"]))
    if refused:
        with pytest.raises(
            UserError, match=f"^--tfds_splits=.* has images that {first}, which this run builds on, was"
        ):
            earlier_runs.check(config, None)
    else:
        earlier_runs.check(config, None)


def test_cifar_is_the_same_set_by_either_name(made):
    first = made("first", dataset="tfds", tfds_name="cifar10:3.0.2", tfds_splits=("test", "train"))
    with pytest.raises(UserError, match="^--dataset=cifar10_lt: 'test' has images .*: its 'test' of cifar10; must"):
        earlier_runs.check(Config(dataset="cifar10_lt", init_from=first), None)
    earlier_runs.check(Config(dataset="cifar100_lt", init_from=first), None)


def test_the_same_settings_on_another_copy_hold_out_other_images(made):
    first = made("first", dataset="cifar10_lt", **TAIL)
    then = tfds_origin.Origin("cifar10_lt", "train,test", "cifar10", "tfrecord", train="1", eval="2", order="3")
    tfds_origin.write(first, then)
    config = Config(dataset="cifar10_lt", init_from=first, **TAIL)
    earlier_runs.check(config, then)
    now = dataclasses.replace(then, order="4")
    with pytest.raises(UserError, match=f"^{first}: had other images or another order of cifar10_lt"):
        earlier_runs.check(config, now)
    earlier_runs.check(config.replace(evaluate_on="test"), now)
