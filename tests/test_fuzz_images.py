"""Broken folders of images and records: each ends in one clear line, before any work, with nothing lost."""

import os
import shutil

import pytest

from bbn_tf.config import Config
from bbn_tf.data import record
from bbn_tf.modes import build
from bbn_tf.runs.folder import RunFolder
from tests.image_files import write_tree, write_two_trees
from tests.in_process import run
from tests.test_fuzz import assert_one_line, damaged, digest


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_two_trees(tmp_path_factory.mktemp("images") / "two")


def emptied(root):
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.unlink()


def renamed(root, ending):
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.rename(path.with_suffix(ending))


def all_damaged(root):
    for path in [path for path in root.rglob("*") if path.is_file()]:
        path.write_bytes(b"no image")


def moved(root, pairs):
    for old, new in pairs.items():
        os.renames(root / old, root / new)


BROKEN = {
    "no folder": (lambda root: shutil.rmtree(root), "does not exist"),
    "a file": (lambda root: shutil.rmtree(root) or root.write_text(""), "is a file"),
    "nothing in it": (lambda root: shutil.rmtree(root) or root.mkdir(), "has no class folders"),
    "no images": (emptied, "holds no image file"),
    "other files only": (lambda root: renamed(root, ".tif"), "48 files left out: 48 .tif"),
    "nothing can be read": (all_damaged, "48 of 48 image files can't be read"),
    "only a training part": (lambda root: moved(root, {"test": "annotations", "train": "Training"}), "has Training/"),
    "only a test part": (lambda root: shutil.rmtree(root / "train"), "has test/ but no train/"),
    "two training parts": (
        lambda root: moved(root, {"test": "Training"}),
        "more than one folder that may be the train",
    ),
    "parts by other names": (lambda root: moved(root, {"train": "first", "test": "second"}), "are no classes"),
    "parts without classes": (
        lambda root: moved(root, {f"train/{name}": f"train/all/{name}" for name in ("ant", "bee", "cat")}),
        "is a class that",
    ),
    "one class": (
        lambda root: [shutil.rmtree(root / part / name) for part in ("train", "test") for name in ("ant", "bee")],
        "has one class only",
    ),
    "a class without images": (lambda root: (root / "train" / "eel").mkdir(), "class 'eel' has no image to train on"),
    "a class to test on alone": (lambda root: moved(root, {"test/cat": "test/eel"}), "test/eel: is a class that"),
    "no image to test on": (lambda root: emptied(root / "test"), "no image to evaluate on"),
    "a folder in itself": (
        lambda root: (root / "train" / "ant" / "in").symlink_to(root),
        "is a link to a folder that it",
    ),
    "a damaged test image": (
        lambda root: (root / "test" / "ant" / "00.jpg").write_bytes(b""),
        "1 of 48 image files can't be read: test/ant/00.jpg (empty)",
    ),
    "a link to nothing": (lambda root: (root / "test" / "ant" / "x.png").symlink_to("gone"), "test/ant/x.png (No such"),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("mode", ["train", "describe"])
def test_broken_folders(how, mode, whole, tmp_path):
    """Neither a run nor a picture is begun; describe leaves damaged files out, as it names them."""
    root = shutil.copytree(whole, tmp_path / "images")
    change, message = BROKEN[how]
    change(root)
    before = digest(root)
    out = tmp_path / "out.png"
    place = [f"--output={out}"] if mode == "describe" else [f"--model_dir={tmp_path / 'run'}", "--num_devices=1"]
    command = [f"--mode={mode}", "--dataset=folder", "--image_size=16", f"--data_dir={root}", *place]
    if mode == "describe" and "damaged" in how or "link to nothing" in how and mode == "describe":
        assert run(*command) == (0, "")
    elif mode == "describe" and how == "nothing can be read":
        assert_one_line(command, "has no image to train on")
    else:
        assert_one_line(command, message)
        assert not out.exists()
    assert digest(root) == before and not (tmp_path / "run").exists()


@pytest.fixture
def recorded(tmp_path):
    """(run folder, data folder): the beginning of a run with a record of nineteen images."""
    write_tree(tmp_path / "photos", {"ant": 10, "bee": 5, "cat": 4})
    config = Config(dataset="folder", data_dir=str(tmp_path / "photos"), image_size=16, model_dir=str(tmp_path / "run"))
    data = build.dataset(config)
    RunFolder(config.model_dir).prepare(config.settings(), overwrite=False)
    record.write(config.model_dir, data.class_names, data.identities())
    return tmp_path / "run", tmp_path / "photos"


def test_damaged_records(recorded):
    folder, photos = recorded
    file = folder / "images.csv"
    content = file.read_bytes()
    resume = [f"--flagfile={folder / 'flags.txt'}", f"--model_dir={folder}", "--num_devices=1"]
    for how, broken in damaged(content):
        file.write_bytes(broken)
        before = digest(folder)
        for command in (["--mode=evaluate", f"--model_dir={folder}", "--num_devices=1"], resume):
            assert_one_line(command, "images.csv: damaged", "--overwrite")
        assert digest(folder) == before, how
    file.write_bytes(content)
    os.unlink(next((photos / "bee").iterdir()))
    for bad in (b"\xff\xfe", bytes(100)):
        file.write_bytes(content + bad)
        assert_one_line(resume, "images.csv: damaged")
