import csv
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.config import Config
from bbn_tf.errors import UserError
from bbn_tf.modes import build, export, predict
from bbn_tf.runs.exported import EXPORT_FACTS
from bbn_tf.runs.folder import RunFolder
from tests import forked
from tests.image_files import encoded
from tests.in_process import parse

RNG = np.random.default_rng(0)


def picture(height, width):
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Images of several formats and sizes on two levels, and one file that is none."""
    (tmp_path / "images" / "deep").mkdir(parents=True)
    (tmp_path / "images" / "b.png").write_bytes(tf.io.encode_png(picture(32, 32)).numpy())
    (tmp_path / "images" / "a.JPG").write_bytes(tf.io.encode_jpeg(picture(40, 60)).numpy())
    (tmp_path / "images" / "deep" / "c.jpeg").write_bytes(tf.io.encode_jpeg(picture(90, 20)).numpy())
    (tmp_path / "images" / "notes.txt").write_text("no image")
    return tmp_path / "images"


@pytest.fixture
def make(finished_run, folder, tmp_path):
    def make_config(**settings):
        mine = {"mode": "predict", "images": str(folder), "output": str(tmp_path / "out" / "predictions.csv")}
        return finished_run().replace(**{**mine, **settings})

    return make_config


@pytest.fixture(scope="session")
def exported(finished_run):
    return str(export.run(finished_run().replace(mode="export"))[0])


def read(config):
    with open(config.output, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_file_gets_its_row_in_order(make, folder, capsys):
    config = make()
    predict.run(config)
    rows = read(config)
    assert [pathlib.Path(row["file"]).relative_to(folder).as_posix() for row in rows] == [
        "a.JPG",
        "b.png",
        "deep/c.jpeg",
    ]
    run = RunFolder(config.model_dir)
    serving = export.Serving(build.load_model(run), export.read_facts(run))
    for row in rows:
        image = tf.io.decode_image(tf.io.read_file(row["file"]), channels=3)
        probabilities = serving.image(image[None])["probabilities"].numpy()[0]
        order = np.argsort(-probabilities)[:5]
        assert int(row["class_id"]) == order[0]
        names = [row["class"], *(row[f"class_{rank}"] for rank in range(2, 6))]
        values = [row["probability"], *(row[f"probability_{rank}"] for rank in range(2, 6))]
        assert names == [str(i) for i in order]
        np.testing.assert_allclose(np.array(values, float), probabilities[order], atol=2e-6)
        assert row["error"] == ""
    assert capsys.readouterr().out == f"note: 1 file left out: 1 .txt\n{config.output}: 3 images classified\n"


def test_a_run_and_its_export_answer_alike(make, exported, tmp_path):
    run, saved_model = make(), make(model_dir=exported, output=str(tmp_path / "other.csv"))
    for config in (run, saved_model):
        predict.run(config)
    for ours, theirs in zip(read(run), read(saved_model), strict=True):
        for name in ours:
            if name.startswith("probability"):
                assert float(ours[name]) == pytest.approx(float(theirs[name]), abs=2e-6)
            else:
                assert ours[name] == theirs[name]


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_unreadable_files_cost_their_own_row_only(batch, make, exported, folder, monkeypatch):
    """And exit status 1, at the end."""
    monkeypatch.setattr(predict, "BATCH", batch)
    (folder / "aa.png").write_bytes(b"no image")
    (folder / "c.jpg").write_bytes((folder / "a.JPG").read_bytes()[:300])
    (folder / "d.jpg").write_bytes(b"")
    config = make(model_dir=exported)
    with pytest.raises(UserError, match="3 of 6 files can't be read, see the column error of") as raised:
        predict.run(config)
    assert "\n" not in str(raised.value)
    rows = {pathlib.Path(row["file"]).name: row for row in read(config)}
    assert list(rows) == ["a.JPG", "aa.png", "b.png", "c.jpg", "d.jpg", "c.jpeg"]
    errors = {name: row["error"] for name, row in rows.items() if row["error"]}
    assert errors == {
        "aa.png": "can't be decoded: Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required.",
        "c.jpg": "can't be decoded: jpeg::Uncompress failed. Invalid JPEG data or crop window.",
        "d.jpg": "can't be decoded: Input is empty.",
    }
    assert all(row["class"] == "" and row["probability"] == "" for row in rows.values() if row["error"])
    assert all(row["class"] != "" for row in rows.values() if not row["error"])


def test_photos_are_turned_and_what_is_not_decoded_is_named(make, exported, folder):
    """Both ways to hold a photo are one answer."""
    photo = Image.fromarray(picture(40, 60))
    for name, content in (
        ("aa.webp", encoded(photo, "webp", lossless=True)),
        ("ab.webp", encoded(photo.rotate(90, expand=True), "webp", held=6, lossless=True)),
        ("ac.bmp", encoded(photo.convert("1"), "bmp")),
        ("ad.webp", encoded(photo, "webp", save_all=True, append_images=[photo.rotate(9)])),
    ):
        (folder / name).write_bytes(content)
    config = make(model_dir=exported)
    with pytest.raises(UserError, match="2 of 7 files can't be read"):
        predict.run(config)
    rows = {pathlib.Path(row["file"]).name: row for row in read(config)}
    assert {k: v for k, v in rows["aa.webp"].items() if k != "file"} == {
        k: v for k, v in rows["ab.webp"].items() if k != "file"
    }
    assert rows["ac.bmp"]["error"] == "can't be decoded: BMP of a kind that is not read; save it as PNG."
    assert rows["ad.webp"]["error"] == "can't be decoded: Animated WebP; only still images are read."


def test_the_program_ends_with_status_1_and_one_line(exported, folder, tmp_path):
    (folder / "bad.png").write_bytes(b"no image")
    output = tmp_path / "out.csv"
    flags = ["--mode=predict", f"--model_dir={exported}", f"--images={folder}", f"--output={output}"]
    process = forked.run("-m", "tests.tiny", *flags)
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith(f"error: --images={folder}: 1 of 4 files can't be read")
    assert len(output.read_text().splitlines()) == 5


def test_the_same_files_are_images_as_in_a_training(tmp_path, capsys):
    """Endings, hidden files, what systems and runs leave, links: as `data.listing` has it for all modes."""
    for name in ("a.jfif", "b.JPE", "in/c.gif", "._a.jfif", "@eaDir/d.jpg", "__MACOSX/e.jpg", "f.tif", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    RunFolder(tmp_path / "run").prepare({"epochs": "1"}, overwrite=False)
    (tmp_path / "run" / "g.png").write_text("")
    found = predict.image_files(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.jfif", "b.JPE", "in/c.gif"]
    said = capsys.readouterr().out
    assert "note: 1 file left out: 1 .tif\n" in said and f"{tmp_path / 'run'}\n" in said


def test_a_file_that_vanishes_is_a_row_too(tmp_path):
    (row,) = predict.classify_batch([tmp_path / "gone.png"], classify=None)
    assert row[1:] == (None, "can't be read: No such file or directory")


def test_one_file_of_any_name(make, folder, exported):
    (folder / "b.png").rename(folder / "picture\udcff,\n")  # a name that is no UTF-8
    config = make(model_dir=exported, images=str(folder / "picture\udcff,\n"))
    predict.run(config)
    with open(config.output, newline="", encoding="utf-8", errors="surrogateescape") as file:
        (row,) = csv.DictReader(file)
    assert row["file"] == config.images


def test_fewer_than_five_classes():
    assert predict.header(2) == ["file", "class_id", "class", "probability", "class_2", "probability_2", "error"]
    assert predict.cells(np.float32([0.25, 0.75]), ["a", "b"], 2) == [1, "b", "0.750000", "a", "0.250000"]


def refuse_to_load(config):
    raise AssertionError("the model was loaded before the mistake was found")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": "{tmp}/none"}, "--images={tmp}/none: does not exist"),
        ({"images": "{tmp}/empty"}, "--images={tmp}/empty: holds no image file; looked for .bmp .gif"),
        ({"output": "{tmp}/empty"}, "--output={tmp}/empty: is a folder"),
        ({"output": "{tmp}/file/out.csv"}, "--output={tmp}/file/out.csv: can't be written"),
        ({"output": "/proc/out.csv"}, "--output=/proc/out.csv: can't be written"),
        ({"output": "{tmp}/file"}, "--output={tmp}/file: already exists; name another file, or replace it with"),
    ],
)
def test_mistakes_cost_one_line_before_the_model_is_loaded(settings, message, make, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "load_classifier", refuse_to_load)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    settings = {name: value.format(tmp=tmp_path) for name, value in settings.items()}
    with pytest.raises(UserError) as raised:
        predict.run(make(**settings))
    assert message.format(tmp=tmp_path) in str(raised.value) and "\n" not in str(raised.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_overwrite_replaces_an_output(make, exported, tmp_path):
    (tmp_path / "file").write_text("old")
    config = make(model_dir=exported, output=str(tmp_path / "file"), overwrite=True)
    predict.run(config)
    assert len(read(config)) == 3
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_images_must_be_named():
    with pytest.raises(UserError, match="--mode=predict: needs --images"):
        Config(mode="predict", model_dir="run")


@pytest.mark.parametrize("damage", ["facts", "variables"])
def test_a_damaged_export_costs_one_line(damage, make, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "1")
    if damage == "facts":
        (tmp_path / "1" / EXPORT_FACTS).write_text('{"class_names": []}')
    else:
        (tmp_path / "1" / "variables" / "variables.index").write_bytes(b"x")
    with pytest.raises(
        UserError, match=r"--model_dir=.*1: (damaged|its .*run.json) can't be (loaded|read)|damaged, can't"
    ):
        predict.run(make(model_dir=str(tmp_path / "1")))


def test_settings_come_from_the_run_or_the_export(finished_run, exported):
    run, saved_model = (
        parse("--mode=predict", f"--model_dir={folder}", "--images=a.png")
        for folder in (finished_run().model_dir, exported)
    )
    assert run.settings() == saved_model.settings() == finished_run().settings()
