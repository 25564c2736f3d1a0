"""Own images: what is read of which folder, what is refused, and a run from the first look to the prediction."""

import csv
import json
import os
import shutil
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.data import datasets, file_checks, input_pipeline
from bbn_tf.errors import UserError
from bbn_tf.modes import build, describe, evaluate
from bbn_tf.runs.folder import RunFolder
from tests import in_process
from tests.image_files import COLOURS, write_tree, write_two_trees


def load(root, **settings):
    return datasets.load("folder", data_dir=str(root), image_size=32, **settings)


def names(paths):
    return [b"/".join(path.split(b"/")[-2:]).decode() for path in paths]


@pytest.fixture(scope="module")
def two_trees(tmp_path_factory):
    return write_two_trees(tmp_path_factory.mktemp("images"))


@pytest.fixture
def own(two_trees, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(two_trees, tmp_path / "own")


def test_train_and_test(two_trees):
    data = load(two_trees)
    assert data.class_names == ("ant", "bee", "cat") and data.input_shape == (32, 32, 3)
    assert data.class_counts.tolist() == [24, 9, 3] and np.bincount(data.eval_labels).tolist() == [4, 4, 4]
    assert names(data.train_items)[22:26] == ["ant/22.png", "ant/23.webp", "bee/00.jpg", "bee/01.png"]
    assert all(b"/test/" in path for path in data.eval_items)


def test_one_tree_is_split_by_class_and_seed(two_trees):
    """A fifth of 24, 9 and 3, rounded but at least one: 5, 2 and 1."""
    data, same, other = (load(two_trees / "train", split_seed=seed) for seed in (0, None, 1))
    assert np.bincount(data.eval_labels).tolist() == [5, 2, 1] and data.class_counts.tolist() == [19, 7, 2]
    assert sorted(data.files()) == sorted(load(two_trees).train_items)
    assert list(data.eval_items) == list(same.eval_items) != list(other.eval_items)
    half = load(two_trees / "train", test_fraction=0.5)
    assert np.bincount(half.eval_labels).tolist() == [12, 4, 2]


def test_validation_comes_out_of_the_training_images(two_trees):
    data = load(two_trees, validation_fraction=0.3, seed=1)
    assert np.bincount(data.eval_labels).tolist() == [7, 3, 1]
    assert sorted(data.files()) == sorted(load(two_trees).train_items)


def test_streams_read_what_they_draw(own):
    """Every image has its label's colour; what only the rejected draws name is not even opened."""
    data = load(own)
    batches = input_pipeline.training_batches(
        data, 8, sampler="reversed", paired=True, augment="basic", seed=1, initial_epoch=0, epochs=2
    )
    elements = list(batches)
    assert len(elements) == 2 * (36 // 8)
    for images, labels in elements:
        for x, y in zip(images, labels, strict=True):
            assert x.shape == (8, 32, 32, 3) and x.dtype == tf.float32 and y.shape == (8,)
            colour = (x.numpy() * data.std + data.mean).mean(axis=(1, 2))
            assert np.array_equal(colour.argmax(axis=1), y)
    drawn = set(
        input_pipeline.resampled_indices(data.train_labels, np.array([0.0, 0.5, 0.5]), 8, seed=1, epoch=0)
        .take(9)
        .unbatch()
        .as_numpy_iterator()
    )
    assert min(drawn) >= 24
    for path in data.train_items[:24]:
        os.unlink(path)
    read = data.reader("train")
    assert all(read(index).shape == (32, 32, 3) for index in drawn)


def test_draws_depend_on_seed_epoch_and_step_only(two_trees):
    def pixels(initial_epoch):
        batches = input_pipeline.training_batches(
            load(two_trees),
            8,
            sampler="reversed",
            paired=True,
            augment="random_resized_crop",
            seed=1,
            initial_epoch=initial_epoch,
            epochs=2,
        )
        return [np.stack(x) for x, _ in batches]

    whole, resumed = pixels(0), pixels(1)
    assert len(whole) == 8 and len(resumed) == 4
    for expected, actual in zip(whole[4:], resumed, strict=True):
        np.testing.assert_array_equal(expected, actual)
    assert not np.array_equal(whole[0], whole[4])


def test_evaluation_sees_the_middle_whole_and_in_order(two_trees):
    data = load(two_trees)
    seen = np.concatenate(list(input_pipeline.ordered_batches(data, "eval", 5)))
    assert seen.shape == (15, 32, 32, 3)
    png = next(i for i, path in enumerate(data.eval_items) if path.endswith(b"png"))  # its pixels are exact
    with Image.open(os.fsdecode(data.eval_items[png])) as image:
        pixels = np.asarray(image)
    side = round(min(pixels.shape[:2]) * 7 / 8)
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    shown = np.asarray(Image.fromarray(pixels[top : top + side, left : left + side]).resize((32, 32), Image.BILINEAR))
    np.testing.assert_allclose(seen[png], (shown / 255 - data.mean) / data.std, atol=0.05)


def damage(root):
    """Four damaged files among the 36 to train on; returns their names."""
    ant = root / "train" / "ant"
    whole = (ant / "00.jpg").read_bytes()
    (ant / "00.jpg").write_bytes(whole[: len(whole) // 2])
    (ant / "01.png").write_bytes(b"")
    (ant / "02.webp").write_text("<html>404 not found</html>")
    (root / "train" / "bee" / "x.jpg").symlink_to("nowhere")
    return ["ant/00.jpg", "ant/01.png", "ant/02.webp", "bee/x.jpg"]


def test_damaged_files_are_named_and_refused(own):
    damage(own)
    with pytest.raises(UserError) as error:
        load(own)
    message = str(error.value)
    assert "4 of 49 image files can't be read: train/ant/00.jpg (" in message
    assert "train/ant/01.png (empty)" in message and "ant/02.webp (Unknown image file format) and 1 more" in message
    assert "--skip_unreadable" in message and "\n" not in message


def test_damaged_files_are_left_out(own, capsys):
    damaged = damage(own)
    data = load(own, skip_unreadable=True)
    assert data.class_counts.tolist() == [21, 9, 3]
    assert not set(damaged) & set(names(data.train_items))
    assert "note: 4 of 49 image files can't be read" in capsys.readouterr().out


def test_trailing_bytes_do_no_harm(own):
    """What cameras append is no damage: a doubtful file is decoded before it is refused."""
    for path in sorted((own / "train" / "ant").iterdir())[:3]:
        path.write_bytes(path.read_bytes() + b"more" * 3000)
    assert len(load(own).train_labels) == 36


def test_inspection_sees_damage_in_the_middle(own):
    path = own / "train" / "ant" / "01.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    paths = load(own).train_items  # at a glance it is whole
    inspection = file_checks.Inspection()
    assert list(inspection(paths)) == [1] and list(inspection.damaged) == [paths[1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root), "--data_dir={root}: does not exist; must be a folder"),
        (lambda root: shutil.rmtree(root / "test"), "--data_dir={root}: has train/ but no test/"),
        (lambda root: shutil.rmtree(root / "train"), "--data_dir={root}: has test/ but no train/"),
        (lambda root: [shutil.rmtree(root / "train" / name) for name in COLOURS], "has no class folders"),
        (
            lambda root: [shutil.rmtree(root / part / name) for part in ("train", "test") for name in ("ant", "bee")],
            "has one class only, 'cat'",
        ),
        (lambda root: shutil.rmtree(root / "train" / "cat"), "{root}/test/cat: is a class that {root}/train does not"),
        (lambda root: (root / "train" / "dog").mkdir(), "class 'dog' has no image to train on (looked for .bmp"),
        (
            lambda root: [shutil.rmtree(root / "test" / name) or (root / "test" / name).mkdir() for name in COLOURS],
            "no image to evaluate on",
        ),
        (lambda root: os.mkdir(os.fsencode(root) + b"/train/\xff"), "the class folder b'\\xff' has no UTF-8 name"),
        (lambda root: (root / "train" / "ant" / "up").symlink_to(root / "train"), "is a link to a folder that it lies"),
        (lambda root: (root / "train" / "eel").symlink_to("eel"), "{root}/train: can't be read (Too many"),
    ],
)
def test_other_folders_cost_one_line(own, change, message):
    change(own)
    with pytest.raises(UserError) as error:
        load(own)
    assert message.format(root=own) in str(error.value) and "\n" not in str(error.value)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: is a file; must be a folder with a folder of images for every class"):
        load(tmp_path / "file")


def test_hidden_and_other_files_are_passed_over(own):
    (own / "train" / ".cache").mkdir()
    (own / "train" / "ant" / "._00.jpg").write_text("")
    (own / "train" / "ant" / "notes.txt").write_text("")
    (own / "train" / "ant" / "deeper").mkdir()
    os.rename(own / "train" / "ant" / "00.jpg", own / "train" / "ant" / "deeper" / "00.JPG")
    os.rename(
        os.fsencode(own / "train" / "ant" / "03.jpg"), os.fsencode(own) + b"/train/ant/\xff.jpg"
    )  # no UTF-8: still a file
    data = load(own)
    assert data.class_counts.tolist() == [24, 9, 3]
    assert sum(path.endswith(b"deeper/00.JPG") for path in data.train_items) == 1
    assert data.reader("train")(23).shape == (32, 32, 3) and b"\xff" in b"".join(data.train_items)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "--dataset=folder: needs --data_dir, the folder of its images"),
        ("--data_dir=x --imbalance_factor=10", "--imbalance_factor=10: has no meaning with --dataset=folder"),
        ("--data_dir=x --augment=randaugment", "--augment=randaugment: with --dataset=folder one of basic, none"),
        ("--data_dir=x --image_size=4", "--image_size=4: must be from 8 to 4096"),
        ("--data_dir=x --test_fraction=1", "--test_fraction=1: must be above 0 and below 1"),
        ("--dataset=digits_lt --skip_unreadable", "--skip_unreadable=True: has no meaning with --dataset=digits_lt"),
        ("--dataset=digits_lt --augment=random_resized_crop", "--augment=random_resized_crop: with --dataset=digits"),
    ],
)
def test_senseless_settings(arguments, message):
    with pytest.raises(UserError) as error:
        in_process.parse("--dataset=folder", *arguments.split())
    assert str(error.value).startswith(message)


def test_split_settings_without_a_split(two_trees):
    with pytest.raises(
        UserError, match="--test_fraction=0.3: has no meaning here, since .* has test images of its own"
    ):
        load(two_trees, test_fraction=0.3)


TINY = (
    "--dataset=folder",
    "--image_size=32",
    "--backbone=tiny",
    "--epochs=2",
    "--lr_milestones=",
    "--warmup_epochs=0",
    "--global_batch_size=12",
    "--learning_rate=0.02",
    "--num_devices=1",
)


def test_from_the_first_look_to_the_prediction(own, tmp_path, capsys, without_summaries):
    """describe, train, evaluate, export and predict; what is served sees what the evaluation saw."""
    picture, folder, table = tmp_path / "look.png", tmp_path / "run", tmp_path / "table.csv"
    shutil.copy(own / "train" / "ant" / "03.jpg", own / "test" / "ant" / "again.jpg")
    assert in_process.run("--mode=describe", *TINY[:2], f"--data_dir={own}", f"--output={picture}") == (0, "")
    said = capsys.readouterr().out
    assert "36 training and 13 test images of 3 classes, 24 to 3 training images a class: imbalance factor 8" in said
    # P_i of Eq. 4: weights 24/24, 24/9, 24/3 over their sum 11.667
    assert ["cat", "3", "4", "few", "8.33", "33.3", "68.6"] in [line.split() for line in said.splitlines()]
    assert "train/ant/03.jpg = test/ant/again.jpg" in said and "1 in the training and the test set" in said
    assert f"python main.py --flagfile=flags/bbn.flags --data_dir={own} --dataset=folder --image_size=32 " in said
    with Image.open(picture) as image:
        assert image.size == (900, 720)

    assert in_process.run(*TINY, f"--data_dir={own}", f"--model_dir={folder}") == (0, "")
    figures = json.loads((folder / "metrics.json").read_text())
    assert figures["class_names"] == ["ant", "bee", "cat"] and figures["num_train"] == 36
    assert figures["mean"] == [0.485, 0.456, 0.406]
    capsys.readouterr()
    assert in_process.run("--mode=evaluate", "--num_devices=1", f"--model_dir={folder}") == (
        0,
        "",
    )  # finds the images by itself
    assert "note:" not in capsys.readouterr().out

    assert in_process.run("--mode=export", f"--model_dir={folder}") == (0, "")
    predict = ["--mode=predict", f"--images={own / 'test'}", f"--output={table}"]
    assert in_process.run(*predict, f"--model_dir={folder / 'export' / '1'}") == (0, "")
    with open(table, newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    config = in_process.parse("--mode=evaluate", f"--model_dir={folder}")
    data = build.dataset(config)
    model = build.load_model(RunFolder(folder))
    seen = np.concatenate(list(input_pipeline.ordered_batches(data, "eval", 13)))
    expected = tf.nn.softmax(model.inference()(seen), axis=-1).numpy()
    for path, probabilities in zip(data.eval_items, expected, strict=True):
        assert float(rows[path.decode()]["probability"]) == pytest.approx(probabilities.max(), abs=1e-4)

    for part in ("train", "test"):
        os.rename(own / part / "ant", own / part / "asp")
    with pytest.raises(UserError, match="has other classes than .* lacks .ant. and has .asp."):
        evaluate.evaluate(config)


def test_a_look_names_the_parts_as_they_are(own, tmp_path, capsys):
    """Validation images are no test images; and a folder's name may be any bytes."""
    shutil.copytree(own / "test", own / "val")
    look = ("--mode=describe", *TINY[:2], f"--data_dir={own}", "--evaluate_on=validation")
    assert in_process.run(*look, f"--output={tmp_path}/look.png") == (0, "")
    said = capsys.readouterr().out
    assert "36 training and 12 validation images of 3 classes" in said
    assert ["class", "training", "validation", "group"] in [line.split()[:4] for line in said.splitlines()]
    assert "12 in the validation and the test set" in said and "in the training and the" not in said
    describe.draw(load(own), "/photos/\udcff", tmp_path / "odd.png")


def test_damage_that_only_training_meets_is_named(own, tmp_path):
    path = own / "train" / "ant" / "01.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    status, message = in_process.run(*TINY, f"--data_dir={own}", f"--model_dir={tmp_path / 'run'}")
    assert status == 1 and f"{path} (" in message and "can't be decoded; put whole files in their place" in message
    assert "\n" not in message


def hide_damage(path):
    """Damages the pixels of a file that is whole at both ends."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 32] = bytes(32)
    path.write_bytes(content)


def test_what_cant_be_decoded_is_left_out_wherever_it_lies(own):
    """In train/ and in test/, though both ends of the files are whole."""
    for part in ("train", "test"):
        hide_damage(own / part / "ant" / "01.png")
    data = load(own, skip_unreadable=True)
    assert data.class_counts.tolist() == [23, 9, 3] and np.bincount(data.eval_labels).tolist() == [3, 4, 4]
    assert data.parts["unreadable"].names() == ["01.png"] * 2
    assert not file_checks.decode(data.files())


def test_images_to_evaluate_on_are_decoded_before_the_training(own):
    """Or one that can't be would stop it after the last epoch."""
    hide_damage(own / "test" / "ant" / "01.png")
    assert not file_checks.glance([bytes(own / "test" / "ant" / "01.png")])
    with pytest.raises(UserError, match=r"1 of 12 image files can't be read: test/ant/01.png \(.*--skip_unreadable"):
        load(own)


def test_a_validation_folder(own, capsys):
    """Said and not used, but with --evaluate_on; then the test images are not used."""
    shutil.copytree(own / "test", own / "val")
    (own / "val" / "ant" / "00.jpg").unlink()
    data = load(own)
    assert len(data.eval_labels) == 12 and data.evaluated_on == "test"
    assert "11 validation images are not used; --evaluate_on=validation" in capsys.readouterr().out
    data = load(own, evaluate_on="validation")
    assert len(data.eval_labels) == 11 and data.evaluated_on == "validation"
    assert "12 test images are not used; --evaluate_on=test" in capsys.readouterr().out
    with pytest.raises(UserError, match="--validation_fraction=0.2: has no meaning here"):
        load(own, validation_fraction=0.2)


def test_a_validation_folder_stands_in_for_a_test_folder(own, capsys):
    os.rename(own / "test", own / "val")
    data = load(own)
    assert len(data.eval_labels) == 12 and data.evaluated_on == "test"
    assert "has no test images of its own: the validation images are the test set" in capsys.readouterr().out
    assert load(own, evaluate_on="validation").evaluated_on == "validation"
    capsys.readouterr()
    held_out = load(own, validation_fraction=0.3)  # of the training images; those of val/ are still to test on
    assert held_out.evaluated_on == "validation" and np.bincount(held_out.eval_labels).tolist() == [7, 3, 1]


def test_evaluating_on_test_with_images_held_out(own):
    data = load(own, validation_fraction=0.3, evaluate_on="test")
    assert data.class_counts.tolist() == [17, 6, 2] and len(data.eval_labels) == 12
    with pytest.raises(UserError, match="no image to evaluate on; --evaluate_on=validation needs a folder val/, or"):
        load(own, evaluate_on="validation")


def test_other_endings_are_counted(own, capsys):
    for number in range(3):
        shutil.copy(own / "test" / "ant" / "01.png", own / "train" / "ant" / f"{number}.tif")
    shutil.copy(own / "test" / "ant" / "01.png", own / "test" / "ant" / "1.heic")
    assert len(load(own).train_labels) == 36
    assert "note: 4 files left out: 3 .tif, 1 .heic" in capsys.readouterr().out


def test_images_in_no_class_folder_are_named(own, capsys):
    """Beside the class folders and beside the parts, in one line; hidden and other files are not meant."""
    for place in ("5.jpg", "train/1.JPG", "train/2.png", "test/3.jpg", "train/.4.jpg", "train/notes.txt"):
        shutil.copy(own / "test" / "ant" / "00.jpg", own / place)
    assert len(load(own).train_labels) == 36
    said = capsys.readouterr().out
    named = f"{own}/5.jpg, {own}/train/1.JPG, {own}/train/2.png and 1 more"
    assert said == f"note: 4 image files in no class folder left out: {named}\n"
    (own / "train" / "1.JPG").unlink()
    load(own / "train")
    assert capsys.readouterr().out == f"note: 1 image file in no class folder left out: {own}/train/2.png\n"


def test_a_tree_without_any_image(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.tif").write_text("")
    (tmp_path / "2.jpg").write_text("")
    message = "holds no image file .looked for .bmp .*; 2 files left out: 2 .tif; 1 image file in no class folder"
    with pytest.raises(UserError, match=message) as error:
        load(tmp_path)
    assert "\n" not in str(error.value)


def test_a_run_in_the_folder_of_its_images(two_trees, tmp_path, capsys):
    root = shutil.copytree(two_trees / "train", tmp_path / "photos")
    for folder in ("run", "saved_models/other"):
        RunFolder(root / folder).prepare({"epochs": "1"}, overwrite=False)
    assert load(root).class_names == ("ant", "bee", "cat")
    assert "passed over" in capsys.readouterr().out


def test_names_in_nfc_and_nfd(own):
    """Of a class in train/ and in test/, as one of them was packed on a Mac."""
    for part, form in (("train", "NFC"), ("test", "NFD")):
        os.rename(own / part / "bee", own / part / unicodedata.normalize(form, "Käfer"))
    data = load(own)
    assert data.class_names == ("Käfer", "ant", "cat") and data.class_counts.tolist() == [9, 24, 3]
    assert np.bincount(data.eval_labels).tolist() == [4, 4, 4]


def test_another_folder_is_another_run(two_trees):
    def parse(folder):
        return in_process.parse("--dataset=folder", f"--data_dir={folder}")

    assert "folder_own_bbn" in parse("/data/own/").model_dir
    assert parse("/data/own").settings()["data_dir"] == "/data/own" != parse("/other/own").settings()["data_dir"]


def test_classes_of_one_image_leave_nothing_to_evaluate_on(tmp_path):
    write_tree(tmp_path, {"ant": 1, "bee": 1})
    with pytest.raises(UserError, match="no image to evaluate on; a class needs two"):
        load(tmp_path)


def test_val_is_the_test_set_also_where_a_fraction_is_held_out(tmp_path):
    """train/ and val/ without test/: nothing of val/ is lost, and what is held out comes from train/."""
    write_tree(tmp_path / "train", {"ant": 10, "bee": 10})
    write_tree(tmp_path / "val", {"ant": 3, "bee": 3}, seed=1)
    data = datasets.load("folder", data_dir=str(tmp_path), image_size=16, validation_fraction=0.2)
    assert [len(data.parts[part].paths) for part in ("train", "validation", "test")] == [16, 4, 6]
    assert (len(data.train_labels), len(data.eval_labels), data.evaluated_on) == (16, 4, "validation")
