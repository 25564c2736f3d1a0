"""Runs on data as people have them: from the command line, over a list and over TFDS, to evaluation and resume."""

import json

import pytest

from bbn_tf.data import tfds_origin
from bbn_tf.errors import UserError
from bbn_tf.modes import run_images
from bbn_tf.runs.folder import RunFolder
from tests import in_process
from tests.data.test_image_lists import COUNTS, TEST, TRAIN
from tests.data.test_tfds_records import TinyGrey, prepare
from tests.image_files import write_tree

pytestmark = pytest.mark.usefixtures("without_summaries")
TINY = (
    "--backbone=tiny",
    "--epochs=1",
    "--lr_milestones=",
    "--warmup_epochs=0",
    "--global_batch_size=12",
    "--num_devices=1",
    "--model=plain",
    "--eval_every=0",
)


def test_a_list_from_the_first_look_to_the_evaluation(tmp_path, monkeypatch, capsys):
    """Lists are found from the working directory when the run begins, and from anywhere afterwards."""
    write_tree(tmp_path / "images", COUNTS)
    (tmp_path / "lists").mkdir()
    names, rows = list(COUNTS), [("path", "label"), *TRAIN]
    (tmp_path / "lists" / "train.csv").write_text("".join(f"{path},{label}\n" for path, label in rows))
    (tmp_path / "lists" / "test.txt").write_text("".join(f"{path} {label}\n" for path, label in TEST))
    (tmp_path / "lists" / "names.txt").write_text("\n".join(names))
    monkeypatch.chdir(tmp_path / "lists")
    data = [
        "--dataset=list",
        "--train_list=train.csv",
        "--eval_list=test.txt",
        "--class_names=names.txt",
        "--data_dir=../images",
        "--image_size=16",
        "--expect_images=33,3",
    ]
    assert in_process.run("--mode=describe", *data, f"--output={tmp_path}/look.png") == (0, "")
    assert "33 training and 3 test images of 3 classes" in capsys.readouterr().out
    run = f"--model_dir={tmp_path / 'run'}"
    assert in_process.run(*data, *TINY, run) == (0, "")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["class_names"] == names and figures["num_train"] == 33 and figures["num_eval"] == 3
    assert f"--train_list={tmp_path}/lists/train.csv\n" in (tmp_path / "run" / "flags.txt").read_text()
    assert in_process.run(*data, *TINY, run) == (0, "")
    assert "already finished" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert in_process.run("--mode=evaluate", "--num_devices=1", run) == (0, "")
    assert "note:" not in capsys.readouterr().out
    (tmp_path / "lists").rename(tmp_path / "moved")
    moved = [
        f"--{flag}=moved/{name}"
        for flag, name in (("train_list", "train.csv"), ("eval_list", "test.txt"), ("class_names", "names.txt"))
    ]
    assert in_process.run("--mode=evaluate", "--num_devices=1", run, *moved) == (0, "")
    assert "note:" not in capsys.readouterr().out
    status, message = in_process.run(*data, "--data_dir=images", *TINY, f"--model_dir={tmp_path / 'other'}")
    assert status == 1 and f"--train_list={tmp_path}/train.csv: can't be read (No such file" in message
    assert not (tmp_path / "other").exists()


def test_tfds_by_name(tmp_path):
    """19 x 19 / 5 of 20 images each, in memory, with a policy that only images in memory have."""
    folder = prepare(tmp_path, "tfrecord", TinyGrey)
    data = ["--dataset=tfds", "--tfds_name=tiny_grey", "--tfds_splits=train,validation", f"--data_dir={folder}"]
    arguments = [*data, *TINY, "--imbalance_factor=5", "--augment=randaugment", f"--model_dir={tmp_path / 'run'}"]
    assert in_process.run(*arguments) == (0, "")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["class_counts"] == [20, 4] and figures["class_names"] == ["a", "b"]
    assert figures["images"] == tfds_origin.read(tmp_path / "run").digest()
    status, message = in_process.run(
        *data, *TINY, "--image_size=16", "--augment=randaugment", f"--model_dir={tmp_path}/x"
    )
    assert (
        status == 1
        and "--augment=randaugment: these images are decoded when drawn; must be one of basic, none" in message
    )


def test_another_build_of_tfds_is_noticed(tmp_path, monkeypatch):
    """A newer version, or the same one of other images: by a resume, an evaluation and a second stage."""
    folder, run = prepare(tmp_path / "data", "tfrecord", TinyGrey), RunFolder(tmp_path / "run")
    data = ["--dataset=tfds", "--tfds_name=tiny_grey", "--tfds_splits=train,validation", f"--data_dir={folder}"]
    train = in_process.parse(*data, "--backbone=resnet8", f"--model_dir={run.path}")
    run.prepare(train.settings(), overwrite=False)
    known = run_images.write_record(run, *run_images.dataset(train, run))
    assert known == tfds_origin.read(run.path) and known.version == "tiny_grey/1.0.0"
    evaluation = in_process.parse("--mode=evaluate", f"--model_dir={run.path}", f"--data_dir={folder}")
    probe = in_process.parse("--mode=probe", f"--from_run={run.path}", *data, f"--model_dir={tmp_path / 'second'}")
    starts = [
        (lambda: run_images.dataset(train, run), ", or train again with --overwrite"),
        (lambda: run_images.of_finished(evaluation, run), ""),
        (lambda: run_images.dataset(probe, RunFolder(probe.model_dir)), ""),
    ]
    for start, _ in starts:
        start()
    monkeypatch.setattr(TinyGrey, "VERSION", "2.0.0")
    prepare(folder, "tfrecord", TinyGrey)
    for start, ways_out in starts:
        with pytest.raises(UserError) as caught:
            start()
        assert str(caught.value) == (
            f"{run.path} was trained on tiny_grey/1.0.0 (tfrecord), but TFDS holds "
            f"tiny_grey/2.0.0 (tfrecord); put that data set back, without a newer version beside it{ways_out}"
        )
    monkeypatch.setattr(TinyGrey, "VERSION", "1.0.0")
    (tmp_path / "data" / "tiny_grey" / "1.0.0").rename(tmp_path / "as_it_was")
    images = TinyGrey._generate_examples
    monkeypatch.setattr(TinyGrey, "_generate_examples", lambda self, count: images(self, count - 1))
    prepare(folder, "tfrecord", TinyGrey)
    for start, _ in starts:
        with pytest.raises(UserError, match="1.0.0 .tfrecord. with other images or labels, or another order"):
            start()
    (run.path / "tfds.json").unlink()  # as an older version left it
    for start, _ in starts:
        start()
    (run.path / "tfds.json").write_text("{")
    with pytest.raises(UserError, match="tfds.json: damaged, can't be read"):
        run_images.of_finished(evaluation, run)
    run.prepare(train.settings(), overwrite=True)
    assert tfds_origin.read(run.path) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--dataset=list --data_dir=x", "--dataset=list: needs --train_list, the list of the images"),
        ("--dataset=list --train_list=x", "--dataset=list: needs --data_dir, the folder of its images"),
        ("--dataset=list --train_list=x --data_dir=x --list_columns=a", "--list_columns=a: must be the names of"),
        ("--dataset=list --train_list=x --data_dir=x --expect_images=5", "--expect_images=5: must be TRAIN,EVAL"),
        ("--dataset=folder --data_dir=x --train_list=x", "--train_list=x: has no meaning with"),
        ("--dataset=tfds", "--dataset=tfds: needs --tfds_name, NAME[/CONFIG][:VERSION] of TFDS"),
        ("--dataset=tfds --tfds_name=x --tfds_splits=a", "--tfds_splits=a: must be TRAIN,EVAL, two splits of TFDS"),
        (
            "--dataset=list --train_list=x.json --data_dir=x --list_columns=a,b",
            "--list_columns=a,b: has no meaning for JSON as --train_list=",
        ),
        ("--dataset=tfds --tfds_name=x --imbalance_profile=step", "--imbalance_profile=step: needs --imbalance_factor"),
        ("--dataset=tfds --tfds_name=x --imbalance_seed=1", "--imbalance_seed=1: needs --imbalance_factor"),
        ("--mode=report --model_dir=x --data_dir=x", "--data_dir=x: has no meaning with --mode=report without --plan"),
    ],
)
def test_senseless_settings(arguments, message):
    with pytest.raises(UserError) as error:
        in_process.parse(*arguments.split())
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("change", ["--imbalance_profile=step", "--imbalance_seed=1", "--list_columns=a,b"])
def test_what_had_no_effect_in_a_finished_run_has_none_now(change, tmp_path):
    """It is refused of a run that begins."""
    data = (
        "--dataset=tfds --tfds_name=x" if "imbalance" in change else "--dataset=list --train_list=x.json --data_dir=x"
    )
    run = RunFolder(tmp_path / "run")
    run.prepare(in_process.parse(*data.split()).settings(), overwrite=False)
    name, _, value = change.removeprefix("--").partition("=")
    lines = [line for line in run.flags_file.read_text().splitlines() if not line.startswith(f"--{name}=")]
    run.flags_file.write_text("\n".join([*lines, change, ""]))
    for mode in ("evaluate", "export"):
        config = in_process.parse(f"--mode={mode}", f"--model_dir={run.path}")
        assert config.all_flags()[name] == value
    with pytest.raises(UserError, match=f"^{change}: "):
        in_process.parse(f"--flagfile={run.flags_file}")


@pytest.mark.parametrize(
    "arguments",
    [
        "--dataset=list --train_list=x.json --eval_list=y.csv --data_dir=x --list_columns=a,b",
        "--dataset=tfds --tfds_name=x --imbalance_profile=exp --imbalance_seed=0",
        "--dataset=tfds --tfds_name=x --imbalance_profile=step --imbalance_seed=1 --imbalance_factor=10",
    ],
)
def test_settings_that_have_a_use_are_taken(arguments):
    in_process.parse(*arguments.split())
