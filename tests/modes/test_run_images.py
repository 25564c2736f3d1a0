"""A run and its images from start to resume, evaluation, second stage and the next run."""

import csv
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from bbn_tf.config import Config
from bbn_tf.data import record
from bbn_tf.modes import build, run_images
from bbn_tf.runs.folder import RunFolder
from tests.data.test_inaturalist import write as inaturalist_files
from tests.image_files import write_tree, write_two_trees
from tests.in_process import parse, run
from tests.test_fuzz import digest

pytestmark = pytest.mark.usefixtures("without_summaries")
TINY = (
    "--dataset=folder",
    "--image_size=16",
    "--model=plain",
    "--backbone=tiny",
    "--lr_milestones=",
    "--epochs=2",
    "--warmup_epochs=0",
    "--global_batch_size=12",
    "--learning_rate=0.02",
    "--augment=none",
    "--num_devices=1",
    "--eval_every=0",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory, without_summaries):
    """Folder with photos/, one tree of 10, 5 and 4 images, and run/, trained on them for two epochs."""
    root = tmp_path_factory.mktemp("made")
    write_tree(root / "photos", {"ant": 10, "bee": 5, "cat": 4})
    assert run(*TINY, f"--data_dir={root / 'photos'}", f"--model_dir={root / 'run'}") == (0, "")
    return root


@pytest.fixture
def own(made, tmp_path):
    """A copy whose run knows its photos by where they are now; "unfinished" is the same after its first epoch."""
    root = pathlib.Path(shutil.copytree(made, tmp_path / "own"))
    for name in ("run", "unfinished"):
        if name == "unfinished":
            shutil.copytree(root / "run", root / name)
            for file in ("metrics.json", "model.keras", "checkpoint/epoch-0002.npz"):
                (root / name / file).unlink()
        flags = (root / name / "flags.txt").read_text().replace(str(made), str(root))
        (root / name / "flags.txt").write_text(flags)
    return root


def of(root, part):
    """Paths of a part in the record of the run, with their classes."""
    known = record.read(root / "run")
    return [f"{known.class_names[label]}/{name}" for label, name, _ in known.parts[part]]


def resume(root, *more):
    return run(*TINY, f"--data_dir={root / 'photos'}", f"--model_dir={root / 'unfinished'}", *more)


def weights_of(run):
    return build.load_model(run).get_weights()


def evaluate(root, *more):
    return run("--mode=evaluate", f"--model_dir={root / 'run'}", "--num_devices=1", *more)


def make_old(root, name):
    """As a version left it that kept no record."""
    (root / name / "images.csv").unlink()
    if (root / name / "metrics.json").exists():
        metrics = json.loads((root / name / "metrics.json").read_text())
        del metrics["images"]
        (root / name / "metrics.json").write_text(json.dumps(metrics))


def test_a_run_records_its_images(made):
    known = record.read(made / "run")
    assert known.class_names == ("ant", "bee", "cat")
    assert [len(known.parts[part]) for part in ("train", "validation", "test")] == [15, 0, 4]
    label, name, size = known.parts["train"][0]
    assert size == (made / "photos" / known.class_names[label] / name).stat().st_size
    assert json.loads((made / "run" / "metrics.json").read_text())["images"] == known.digest()


def test_evaluation_after_ten_photos_are_gone(own, capsys):
    """The recorded test images that are left, never one that was trained on."""
    gone = of(own, "train")[:9] + of(own, "test")[:1]
    for image in gone:
        os.unlink(own / "photos" / image)
    capsys.readouterr()
    assert evaluate(own) == (0, "")
    said = capsys.readouterr().out
    assert f"test images: 1 missing ({gone[-1]})" in said and "train images: 9 missing" in said
    config = parse("--mode=evaluate", f"--model_dir={own / 'run'}")
    seen = run_images.of_finished(config, RunFolder(own / "run")).eval_items
    assert sorted(path.decode() for path in seen) == sorted(str(own / "photos" / i) for i in of(own, "test")[1:])


def test_evaluation_on_other_photos_of_the_same_classes(own, capsys):
    """One line says that they are others and how many are evaluated; groups are those of the run."""
    write_tree(own / "others", {"ant": 5, "bee": 5, "cat": 10}, sizes=(50, 60), seed=3)
    capsys.readouterr()
    assert evaluate(own, f"--data_dir={own / 'others'}") == (0, "")
    said = capsys.readouterr().out
    assert said.count("has other images than") == 1 and "evaluated on the test part of these, 4 of 20; many" in said
    config = parse("--mode=evaluate", f"--model_dir={own / 'run'}", f"--data_dir={own / 'others'}")
    assert run_images.of_finished(config, RunFolder(own / "run")).class_counts.tolist() == [8, 4, 3]


def test_resume_of_the_same_images(own, made):
    """As the run that was not stopped, in weights and figures; the photos were moved as a whole."""
    os.rename(own / "photos", own / "elsewhere")
    status, message = resume(own)
    assert status == 1 and f"--data_dir={own / 'photos'}: does not exist" in message
    assert resume(own, f"--data_dir={own / 'elsewhere'}") == (0, "")
    assert RunFolder(own / "unfinished").read_settings()["data_dir"] == str(own / "elsewhere")
    folders = RunFolder(own / "unfinished"), RunFolder(made / "run")
    figures, weights = ([read(run) for run in folders] for read in (RunFolder.read_metrics, weights_of))
    assert figures[0]["top1_error"] == figures[1]["top1_error"] and figures[0]["images"] == figures[1]["images"]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda photos, image: os.unlink(photos / image), "1 missing ("),
        (lambda photos, image: shutil.copy(photos / "ant" / "00.jpg", photos / image), "1 changed ("),
        (lambda photos, image: os.rename(photos / "bee", photos / "wasp"), "lacks 'bee' and has 'wasp'"),
        (lambda photos, image: shutil.copytree(photos / "ant", photos / "asp"), "has 'asp'"),
    ],
)
def test_resume_of_other_images_is_refused_and_touches_nothing(own, change, told):
    change(own / "photos", of(own, "train")[-1])
    before = digest(own)
    status, message = resume(own)
    assert status == 1 and told in message and "\n" not in message and "delet" not in message
    assert digest(own) == before


def test_overwrite_starts_with_the_images_there_are(own):
    os.unlink(own / "photos" / of(own, "train")[-1])
    assert resume(own, "--overwrite") == (0, "")
    assert len(record.read(own / "unfinished").parts["train"]) in (14, 15)
    assert sum(map(len, record.read(own / "unfinished").parts.values())) == 18


def test_a_damaged_record_is_named(own):
    file = own / "unfinished" / "images.csv"
    file.write_bytes(file.read_bytes()[:100])
    before = digest(own)
    status, message = resume(own)
    assert status == 1 and f"{file}: damaged" in message and digest(own) == before


def test_a_list_of_images_that_is_gone_is_no_older_version(own):
    """Split by position, the run would be tested on images that it was trained on."""
    (own / "run" / "images.csv").unlink()
    photos = f"--data_dir={own / 'photos'}"
    starts = [
        lambda: evaluate(own),
        lambda: run(*TINY, photos, f"--model_dir={own / 'run'}"),
        lambda: run("--mode=probe", f"--from_run={own / 'run'}", "--num_devices=1", f"--model_dir={own / 'second'}"),
        lambda: run(*TINY, photos, f"--init_from={own / 'run'}", f"--model_dir={own / 'next'}"),
        lambda: run(*TINY, photos, f"--init_from={own / 'run' / 'model.keras'}", f"--model_dir={own / 'next'}"),
    ]
    before = digest(own)
    for start in starts:
        status, message = start()
        assert status == 1 and f"{own / 'run'}: lacks images.csv, the list of its images" in message
    assert digest(own) == before
    shutil.copy(own / "unfinished" / "images.csv", own / "run")
    assert evaluate(own) == (0, "")


def test_a_second_stage_on_photos_of_a_run_that_had_none(own):
    """Data of TFDS never had a list; these photos are divided as those of a new run."""
    first = RunFolder(own / "tfds")
    first.prepare(Config(dataset="tfds", tfds_name="x", backbone="resnet8").settings(), overwrite=False)
    figures = {"epoch": 1, "top1_error": 1.0, "per_class_error": [], "class_counts": [], "class_names": []}
    first.write_metrics({**figures, "images": "0123abcd"})
    config = parse("--mode=probe", f"--from_run={first.path}", "--dataset=folder", f"--data_dir={own / 'photos'}")
    data, options = run_images.dataset(config, RunFolder(own / "second"))
    assert options == {} and data.eval_items.tolist() == build.dataset(config).eval_items.tolist()


@pytest.mark.parametrize("classifier", ["tau_norm", "retrain"])
def test_a_second_stage_keeps_the_split(own, classifier):
    """Also with photos that have come since, which are neither trained nor tested on."""
    for number in range(3):
        shutil.copy(own / "photos" / "ant" / "00.jpg", own / "photos" / "ant" / f"new{number}.jpg")
    arguments = ("--mode=probe", f"--from_run={own / 'run'}", f"--classifier={classifier}", "--num_devices=1")
    short = (
        ()
        if classifier == "tau_norm"
        else ("--epochs=1", "--lr_milestones=", "--warmup_epochs=0", "--global_batch_size=8")
    )
    assert run(*arguments, *short, f"--model_dir={own / 'second'}") == (0, "")
    first, second = record.read(own / "run"), record.read(own / "second")
    assert {part: second.parts[part] for part in ("train", "test")} == {
        part: first.parts[part] for part in ("train", "test")
    }


@pytest.mark.parametrize("old", [False, True])
def test_a_second_stage_on_other_classes_is_refused(own, old):
    if old:
        make_old(own, "run")
    os.rename(own / "photos" / "ant", own / "photos" / "zebra")
    arguments = ("--mode=probe", f"--from_run={own / 'run'}", "--classifier=tau_norm", "--num_devices=1")
    status, message = run(*arguments, f"--model_dir={own / 'second'}")
    assert status == 1 and "lacks 'ant' and has 'zebra'" in message and not (own / "second").exists()


@pytest.mark.parametrize("held_out", [(), ("--validation_fraction=0.3", "--evaluate_on=test")])
def test_a_run_from_a_run_does_not_test_or_validate_on_its_training_images(own, held_out):
    new = (
        f"--init_from={own / 'run'}",
        f"--model_dir={own / 'next'}",
        "--split_seed=5",
        "--epochs=1",
        "--global_batch_size=8",
    )
    assert run(*TINY, f"--data_dir={own / 'photos'}", *new, *held_out) == (0, "")
    first, second = record.read(own / "run"), record.read(own / "next")
    assert not {*second.parts["test"], *second.parts["validation"]} & set(first.parts["train"])
    assert sum(len(second.parts[part]) for part in ("train", "validation", "test")) == 19


def test_a_run_in_the_folder_of_its_photos(own):
    """Its second start does not take its folder for a class."""
    photos = (f"--data_dir={own / 'photos'}", f"--model_dir={own / 'photos' / 'runs' / 'one'}", "--epochs=1")
    assert run(*TINY, *photos) == (0, "")
    assert run(*TINY, *photos) == (0, "")  # already finished
    assert record.read(own / "photos" / "runs" / "one").class_names == ("ant", "bee", "cat")


def test_evaluating_on_images_held_out_or_not(own):
    """Trained with images held out, evaluated on the test images by --evaluate_on."""
    held = ("--validation_fraction=0.3", "--epochs=1", "--global_batch_size=8")
    assert run(*TINY, f"--data_dir={own / 'photos'}", f"--model_dir={own / 'held'}", *held) == (0, "")
    known = record.read(own / "held")
    assert [len(known.parts[part]) for part in ("train", "validation", "test")] == [11, 4, 4]
    for arguments, part in (((), "validation"), (("--evaluate_on=test",), "test")):
        config = parse("--mode=evaluate", f"--model_dir={own / 'held'}", *arguments)
        data = run_images.of_finished(config, RunFolder(own / "held"))
        assert data.evaluated_on == part and len(data.eval_labels) == len(known.parts[part])
        assert run("--mode=evaluate", f"--model_dir={own / 'held'}", "--num_devices=1", *arguments) == (0, "")


def test_old_runs_go_on_by_the_old_rule(own, capsys):
    """Unfinished and finished: the split by position, said in one line; and never a record made of a guess."""
    for name in ("run", "unfinished"):
        make_old(own, name)
    config = parse("--mode=evaluate", f"--model_dir={own / 'run'}")
    old = build.dataset(config, old=True)
    metrics = json.loads((own / "run" / "metrics.json").read_text())
    metrics |= {"num_train": len(old.train_labels), "num_eval": len(old.eval_labels)}
    (own / "run" / "metrics.json").write_text(json.dumps(metrics))
    assert run_images.of_finished(config, RunFolder(own / "run")).eval_items.tolist() == old.eval_items.tolist()
    capsys.readouterr()
    assert evaluate(own) == (0, "")
    assert capsys.readouterr().out.count("photos that were added or removed since can't be seen") == 1
    assert resume(own) == (0, "")
    assert capsys.readouterr().out.count("photos that were added or removed since can't be seen") == 1
    assert not record.is_there(own / "unfinished")
    arguments = ("--mode=probe", f"--from_run={own / 'run'}", "--classifier=tau_norm", "--num_devices=1")
    assert run(*arguments, f"--model_dir={own / 'second'}") == (0, "")
    seen = {name for _, name, _ in record.read(own / "second").parts["test"]}
    assert seen == set(old.parts["test"].names())
    assert run("--mode=export", f"--model_dir={own / 'run'}") == (0, "")
    os.unlink(own / "photos" / "ant" / "00.jpg")  # now other images would be held out
    status, message = evaluate(own)
    assert status == 1 and "put the photos back as they were" in message and "\n" not in message


def test_a_run_from_an_old_run_does_not_test_on_its_training_images(own):
    make_old(own, "run")
    known = run_images.started_from(str(own / "run"))
    old = build.dataset(parse("--mode=evaluate", f"--model_dir={own / 'run'}"), old=True)
    assert [name for _, name, _ in known.parts["train"]] == old.parts["train"].names()
    assert run_images.started_from(str(own / "run" / "model.keras")).parts == known.parts
    shutil.rmtree(own / "photos")
    assert run_images.started_from(str(own / "run")) is None


def test_a_run_from_an_old_run_of_inaturalist(tmp_path, capsys):
    """It kept no folder: that of the new run, if it is on the same data; else one line says what is not known."""
    root = inaturalist_files(tmp_path / "inat")
    RunFolder(tmp_path / "old").prepare(Config(dataset="inaturalist2018", data_dir="x").settings(), overwrite=False)
    known = run_images.started_from(str(tmp_path / "old"), "inaturalist2018", str(root))
    first = build.dataset(Config(dataset="inaturalist2018", data_dir=str(root)))
    assert [name for _, name, _ in known.parts["train"]] == first.parts["train"].names()
    capsys.readouterr()
    assert run_images.started_from(str(tmp_path / "old"), "folder", str(root)) is None
    said = capsys.readouterr().out
    assert said.startswith(f"note: --init_from={tmp_path / 'old'}: an older run, whose images can't be compared with ")
    assert said.endswith("are evaluated on here, the errors come out too low\n") and said.count("\n") == 1


def test_a_damaged_test_image_is_put_back_not_trained_again(own):
    image = own / "photos" / of(own, "test")[0]
    size = image.stat().st_size
    image.write_bytes(b"damaged".ljust(size))  # the same image by name and size
    status, message = evaluate(own)
    assert status == 1 and f"{image} (" in message
    assert message.endswith(
        ": can't be decoded; put them back as they were when the run was trained, and evaluate again"
    )


def test_hosts_compare_names_and_sizes_not_places(tmp_path):
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        write_tree(tmp_path / name, {"ant": 3, "bee": 3}, seed=seed)
    seen = {
        name: build.dataset(Config(dataset="folder", data_dir=str(tmp_path / name), image_size=16))
        for name in ("one", "same", "other")
    }
    texts = {name: run_images.told_apart(data) for name, data in seen.items()}
    assert texts["one"] == texts["same"] != texts["other"]
    assert seen["one"].train_labels.tolist() == seen["other"].train_labels.tolist()


def test_a_class_more_is_no_damage(own):
    """An old run can't see it by its record; the checkpoint is whole and left alone."""
    make_old(own, "unfinished")
    shutil.copytree(own / "photos" / "ant", own / "photos" / "asp")
    before = digest(own / "unfinished")
    status, message = resume(own)
    assert status == 1 and "is whole, but of another network" in message and "\n" not in message
    assert digest(own / "unfinished").items() >= before.items()


def test_damage_is_remembered_on_resume(tmp_path):
    write_two_trees(tmp_path / "two")
    (tmp_path / "two" / "train" / "ant" / "00.jpg").write_text("no image")
    arguments = (*TINY, f"--data_dir={tmp_path / 'two'}", f"--model_dir={tmp_path / 'run'}", "--skip_unreadable")
    assert run(*arguments, "--epochs=1") == (0, "")
    for file in ("metrics.json", "model.keras"):
        (tmp_path / "run" / file).unlink()
    assert run(*arguments, "--epochs=1") == (0, "")
    assert record.read(tmp_path / "run").parts["unreadable"] == [(0, "00.jpg", 8)]


def test_an_old_run_is_told_of_photos_that_are_turned_now(own, capsys):
    make_old(own, "run")
    config = parse("--mode=evaluate", f"--model_dir={own / 'run'}")
    tested = [path.decode() for path in run_images.of_finished(config, RunFolder(own / "run")).eval_items]
    image = Image.open(tested[0])
    exif = image.getexif()
    exif[0x0112] = 6  # on its side
    image.convert("RGB").save(tested[0], format="JPEG", exif=exif)
    capsys.readouterr()
    assert evaluate(own) == (0, "")
    line = f"note: 1 of {len(tested)} photos are turned upright now; they were not when this run was trained"
    assert line in capsys.readouterr().out


def test_an_evaluation_names_the_files(own):
    """Every recorded test image once, with its class, in the order of the record."""
    assert evaluate(own, f"--output={own / 'evaluation'}") == (0, "")
    with open(own / "evaluation" / "evaluation.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(own / "photos" / image) for image in of(own, "test")]
    assert [row["class"] for row in rows] == [image.split("/")[0] for image in of(own, "test")]


@pytest.mark.parametrize(("recorded", "counts"), [("test", (15, 4)), ("validation", (15, None))])
def test_an_old_runs_number_of_images_counts_only_for_the_part_it_was_evaluated_on(own, recorded, counts, monkeypatch):
    make_old(own, "run")
    file, seen = own / "run" / "metrics.json", {}
    file.write_text(json.dumps({**json.loads(file.read_text()), "evaluated_on": recorded}))
    monkeypatch.setattr(build, "dataset", lambda config, **options: seen.update(options))
    run_images.of_finished(parse("--mode=evaluate", f"--model_dir={own / 'run'}"), RunFolder(own / "run"))
    assert seen == {"old": True, "counts": counts}
