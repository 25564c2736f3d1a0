"""Broken inputs by the hundred: each ends in one clear line and the right exit status, and no file is lost."""

import csv
import hashlib
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.config import SETTINGS
from bbn_tf.modes import build, export, train
from bbn_tf.runs.folder import HEADER, RunFolder
from bbn_tf.training import checkpoints
from tests.in_process import run

RNG = np.random.default_rng(20)


def digest(folder):
    """dict path -> hash of every file below `folder`."""
    files = (path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_one_line(arguments, *parts):
    """The input is refused: status 1, one line beginning "error: " that names every one of `parts`."""
    status, message = run(*arguments)
    assert status == 1 and message.startswith("error: ") and "\n" not in message, (arguments, status, message)
    assert len(message) < 600, message
    for part in parts:
        assert part in message, (arguments, part, message)


def damaged(content):
    """Yields (how, content) of ways a file gets damaged."""
    for part in (0, 0.1, 0.5, 0.95):
        yield f"cut at {part}", content[: int(part * len(content))]
    yield "zeros", bytes(len(content))
    yield "noise", RNG.bytes(len(content))
    yield "text", b"<html>404 not found</html>"
    for _ in range(3):
        flipped = bytearray(content)
        middle = RNG.integers(len(content) // 4, 3 * len(content) // 4)
        flipped[middle : middle + 64] = RNG.bytes(64)
        yield f"flipped at {middle}", bytes(flipped)


NUMBERS = (
    "imbalance_factor",
    "validation_fraction",
    "learning_rate",
    "lr_factor",
    "momentum",
    "weight_decay",
    "epochs",
    "global_batch_size",
    "warmup_epochs",
    "warmup_start",
    "eval_every",
    "num_devices",
    "seed",
    "imbalance_seed",
    "deferred_epoch",
    "focal_gamma",
    "ldam_margin",
    "ldam_scale",
    "logit_adjustment",
    "effective_beta",
    "mixup_concentration",
    "tau",
    "jobs",
    "image_size",
    "test_fraction",
    "split_seed",
    "num_hosts",
    "host_index",
    "trunk_lr_factor",
)
CHOICES = (
    "mode",
    "dataset",
    "imbalance_profile",
    "model",
    "backbone",
    "feature_convention",
    "sampler",
    "adaptor",
    "augment",
    "loss",
    "class_weights",
    "optimizer",
    "lr_schedule",
    "mixup",
    "mixup_sampler",
    "branch",
    "classifier",
    "evaluate_on",
    "freeze",
)
BOOLEANS = (
    "overwrite",
    "sync_batch_norm",
    "mixed_precision",
    "nesterov",
    "deterministic",
    "skip_unreadable",
    "allow_overlap",
)
LISTS = {
    "lr_milestones": ("a", "1.5", "0", "-3", "5,5", "9,3", "1,,x", "1e3", "999999"),
    "profile_steps": ("1", "a,b", "3,1", "0,1", "1,2,3", "-1,4", "1.5,2"),
    "list_columns": ("a", "a,a", "a,b,c,d", ",b"),
    "expect_images": ("1", "a,b", "-1,2", "1,2,3"),
    "tfds_splits": ("train", "train,", ",", "a,b,c"),
    "export_formats": ("", "pickle", "saved_model,h5", "ONNX"),
}


def test_flags(finished_run):
    """Wrong type or range, for every flag there is; none may reach the training."""
    tried = 0
    for name in NUMBERS:
        for value in ("", "x", "-1", "nan", "inf", "-inf", "1e999", "0x", "1,2", "--", "None", "²"):
            assert_one_line([f"--{name}={value}"], name)
            tried += 1
    for name in CHOICES:
        for value in ("", "x", "None", "0", " bbn"):
            assert_one_line([f"--{name}={value}"], name)
            tried += 1
    for name in BOOLEANS:
        for value in ("2", "maybe", "nan"):
            assert_one_line([f"--{name}={value}"], name)
            tried += 1
    for name, values in LISTS.items():
        mode = ["--mode=export", f"--model_dir={finished_run().model_dir}"] if name == "export_formats" else []
        for value in values:
            assert_one_line([*mode, f"--{name}={value}"], name)
            tried += 1
    assert tried >= 200
    texts = {"model_dir", "data_dir", "images", "output", "init_from", "from_run", "plan", "coordinator"}
    texts |= {"train_list", "eval_list", "validation_list", "class_names", "tfds_name", "cut_layer"}
    assert set(SETTINGS) - {*NUMBERS, *CHOICES, *BOOLEANS, *LISTS} == texts


@pytest.mark.parametrize(
    "content",
    [
        b"epochs=3",
        b"--epochs",
        b"--epochs=",
        b"--epoch=3",
        b"--no-such-flag",
        b"\xff\xfe\x00",
        b"- - epochs=3",
        b"--epochs=3\n--sampler=reversed  # inline",
        b"--flagfile=missing.flags",
        b"\x00\x01\x02",
        b"--epochs 3",
    ],
)
def test_flag_files(content, tmp_path):
    path = tmp_path / "broken.flags"
    path.write_bytes(content)
    assert_one_line([f"--flagfile={path}"])


@pytest.mark.parametrize("path", ["", "nowhere.flags", "flags", "/dev/null/x.flags"])
def test_flag_files_that_are_none(path):
    assert_one_line([f"--flagfile={path}"] if path else ["--flagfile"])


def images(folder):
    """Writes broken and mislabelled images, and two good ones; returns the names of the good ones."""
    folder.mkdir()
    picture = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    encoded = {"png": tf.io.encode_png(picture).numpy(), "jpg": tf.io.encode_jpeg(picture).numpy()}
    for kind, content in encoded.items():
        (folder / f"good.{kind}").write_bytes(content)
        for number, part in enumerate((0, 1, 2, 4, 8, 16, 32, 100, len(content) // 2, int(0.8 * len(content)))):
            (folder / f"cut{number:02}.{kind}").write_bytes(content[:part])
        for number, (_, broken) in enumerate(damaged(content)):
            if number in (4, 5, 6):  # zeros, noise, text
                (folder / f"damaged{number}.{kind}").write_bytes(broken)
        (folder / f"dangling.{kind}").symlink_to(folder / "nowhere")
    (folder / "text.webp").write_text("RIFFxxxxWEBP")
    (folder / "mislabelled.png").write_bytes(encoded["jpg"])  # of the other kind: decoded by its content
    (folder / "pdf.jpeg").write_bytes(b"%PDF-1.7\n" + RNG.bytes(500))
    return {"good.png", "good.jpg", "mislabelled.png"}


def test_images(finished_run, tmp_path):
    good = images(tmp_path / "images")
    output = tmp_path / "out.csv"
    command = ["--mode=predict", f"--model_dir={finished_run().model_dir}", f"--images={tmp_path / 'images'}"]
    before = digest(tmp_path / "images")
    assert_one_line([*command, f"--output={output}"], "files can't be read, see the column error")
    with open(output, newline="") as file:
        rows = {pathlib.Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert len(rows) >= 29
    for name, row in rows.items():
        assert ("\n" not in row["error"]) and bool(row["error"]) == (name not in good) == (not row["class"]), row
    assert digest(tmp_path / "images") == before


@pytest.fixture
def copy(finished_run, tmp_path):
    """A finished run of its own: `RunFolder`."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run().model_dir, folder, ignore=shutil.ignore_patterns("export"))
    return RunFolder(folder)


def refused_with(file, command, keep):
    """Damages `file` in every way, runs `command`, and sees that it is named and nothing else touched."""
    whole = file.read_bytes()
    for how, content in damaged(whole):
        file.write_bytes(content)
        before = digest(keep)
        assert_one_line(command, file.name)
        assert digest(keep) == before, how
    file.write_bytes(whole)


def test_damaged_metrics(copy):
    whole = copy.metrics_file.read_bytes()
    wrong = json.dumps({**json.loads(whole), "top1_error": "abc"}).encode()
    command = ["--mode=evaluate", f"--model_dir={copy.path}"]
    for content in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff",
        whole[:100],
        whole[:-3],
        b'{"epoch": 1}',
        bytes(50),
        wrong,
    ):
        copy.metrics_file.write_bytes(content)
        before = digest(copy.path)
        assert_one_line(command, "metrics.json")
        assert_one_line(["--mode=export", f"--model_dir={copy.path}"], "metrics.json")
        assert_one_line([f"--flagfile={copy.flags_file}", f"--model_dir={copy.path}"], "metrics.json")
        assert digest(copy.path) == before


def test_damaged_settings(copy):
    begin = HEADER.encode() + b"\n"
    for content in (b"model=bbn", b"\xff\xfe", b"--model=vgg", b"--epochs=x", b"--colour=blue", b"--epochs=-1\n", None):
        copy.flags_file.write_bytes(b"--model=bbn" if content is None else begin + content)
        before = digest(copy.path)
        assert_one_line(["--mode=evaluate", f"--model_dir={copy.path}"])
        assert digest(copy.path) == before


def test_damaged_model(copy):
    refused_with(copy.model_file, ["--mode=evaluate", f"--model_dir={copy.path}"], copy.path)


def test_damaged_checkpoints(make_config, capsys):
    """Reported, and the one before it used, in whichever way the newest is damaged."""
    config = make_config(epochs=2, lr_milestones=(), eval_every=0)
    train.train_and_evaluate(config)
    folder = RunFolder(config.model_dir)
    (_, newest), (_, before) = folder.checkpoint_files()
    whole, older = newest.read_bytes(), before.read_bytes()
    model = build.model(config, build.dataset(config))
    model.compile(build.optimizer(config, model), "mse")
    assert checkpoints.restore(model, folder.newest_checkpoint) == 2
    for how, content in damaged(whole):
        newest.write_bytes(content)
        capsys.readouterr()
        assert checkpoints.restore(model, folder.newest_checkpoint) == 1, how
        assert capsys.readouterr().err.count(f"{newest}: damaged") == 1
        assert folder.checkpoint_files() == [(1, before)] and before.read_bytes() == older
        assert newest.with_name(f"damaged-{newest.name}").read_bytes() == content
    before.write_bytes(older[:1000])
    assert checkpoints.restore(model, folder.newest_checkpoint) == 0 and not folder.checkpoint_files()


def test_damaged_export(finished_run, tmp_path):
    exported = pathlib.Path(export.run(finished_run().replace(mode="export"))[0])
    picture = tmp_path / "image.png"
    picture.write_bytes(tf.io.encode_png(np.zeros((32, 32, 3), np.uint8)).numpy())

    def command(folder):
        return ["--mode=predict", f"--model_dir={folder}", f"--images={picture}", f"--output={tmp_path / 'out.csv'}"]

    variables = sorted(path.relative_to(exported) for path in exported.glob("variables/*"))
    assert len(variables) == 2
    for number, name in enumerate([*variables, "saved_model.pb", "assets.extra/run.json"]):
        folder = tmp_path / str(number)
        shutil.copytree(exported, folder)
        (folder / name).unlink()
        assert_one_line(command(folder), str(folder))
        for content in (b"", b"\x00" * 100, (exported / name).read_bytes()[:200]):
            (folder / name).write_bytes(content)
            assert_one_line(command(folder), str(folder))
    assert not (tmp_path / "out.csv").exists()
    assert run(*command(exported)) == (0, "")
