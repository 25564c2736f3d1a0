"""A data set beside a record: what is the same image, what is missing or new, and what may not be tested on."""

import os
import shutil
import unicodedata

import numpy as np
import pytest

from bbn_tf.data import datasets, record
from bbn_tf.errors import UserError
from tests.image_files import write_tree, write_two_trees


def load(root, **settings):
    return datasets.load("folder", data_dir=str(root), image_size=32, **settings)


def recorded(data, folder):
    """The record of a data set, as its run would write it."""
    return record.write(folder, data.class_names, data.identities())


def names(data, part):
    """Set of "class/path" of a part."""
    files = data.parts[part]
    return {f"{data.class_names[label]}/{name}" for label, name in zip(files.labels, files.names(), strict=True)}


def of(data, part):
    return names(data, {"train": "train", "eval": data.evaluated_on}[part])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """One tree: 24 ants, 9 bees and 3 cats, of which 5, 2 and 1 are held out."""
    root = tmp_path_factory.mktemp("photos")
    write_tree(root, {"ant": 24, "bee": 9, "cat": 3})
    return root


@pytest.fixture
def own(photos, tmp_path):
    return shutil.copytree(photos, tmp_path / "own")


@pytest.fixture
def two(tmp_path):
    return write_two_trees(tmp_path / "two")


def delete(root, image):
    os.unlink(os.path.join(root, image))


def test_an_unchanged_folder(own, tmp_path):
    """The same images in the same order, whatever the settings would split now."""
    data = load(own)
    known = recorded(data, tmp_path)
    for use in ("train", "second_stage", "evaluate"):
        again = load(own, record=known, use=use, split_seed=3)
        assert again.eval_items.tolist() == data.eval_items.tolist()
        assert again.train_labels.tolist() == data.train_labels.tolist()
    assert load(own, record=known).train_items.tolist() == data.train_items.tolist()


def test_photos_moved_as_a_whole(own, tmp_path):
    data = load(own)
    known = recorded(data, tmp_path)
    os.rename(own, tmp_path / "elsewhere")
    again = load(tmp_path / "elsewhere", record=known)
    assert of(again, "train") == of(data, "train") and of(again, "eval") == of(data, "eval")


def test_evaluation_after_photos_have_gone(own, tmp_path, capsys):
    """Never a trained image in the test set: what is left of the recorded one is evaluated on; counts stay."""
    data = load(own)
    known = recorded(data, tmp_path)
    gone, trained = sorted(of(data, "eval"))[0], sorted(of(data, "train"))[:9]
    for image in (gone, *trained):
        delete(own, image)
    capsys.readouterr()
    again = load(own, record=known, use="evaluate")
    assert of(again, "eval") == of(data, "eval") - {gone}
    assert again.class_counts.tolist() == data.class_counts.tolist() == [19, 7, 2]
    said = capsys.readouterr().out
    assert f"test images: 1 missing ({gone})" in said and f"train images: 9 missing ({trained[0]}, " in said
    assert "and 6 more" in said and said.count("\n") == 1 and b"" not in again.files()


def test_evaluation_after_photos_came(own, tmp_path, capsys):
    data = load(own)
    known = recorded(data, tmp_path)
    for number in range(4):
        shutil.copy(own / "bee" / "00.jpg", own / "bee" / f"new{number}.jpg")
    again = load(own, record=known, use="evaluate")
    assert of(again, "eval") == of(data, "eval") and " new (bee/new" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root, image: delete(root, image), "1 missing ({image})"),
        (lambda root, image: (root / image).write_bytes((root / image).read_bytes() + b"more"), "1 changed ({image})"),
        (lambda root, image: os.rename(root / image, root / "ant" / "other.jpg"), "1 missing ({image})"),
    ],
)
def test_another_training_set_is_refused_on_resume(own, tmp_path, change, told):
    data = load(own)
    known = recorded(data, tmp_path / "run")
    image = min(of(data, "train"))
    change(own, image)
    with pytest.raises(UserError) as error:
        load(own, record=known)
    message = str(error.value)
    assert told.format(image=image) in message and "put the files back" in message and "--overwrite" in message
    assert f"--init_from={tmp_path / 'run'}" in message and "delete" not in message and "\n" not in message


def test_new_images_in_the_training_part_are_refused_on_resume(two, tmp_path):
    known = recorded(load(two), tmp_path)
    shutil.copy(two / "train" / "cat" / "00.jpg", two / "train" / "cat" / "new.jpg")
    with pytest.raises(UserError, match=r"1 new \(cat/new.jpg\)"):
        load(two, record=known)
    os.rename(two / "train" / "cat" / "new.jpg", two / "test" / "cat" / "new.jpg")
    assert len(load(two, record=known).eval_labels) == 12  # to test on a resume goes on, with what is recorded


def test_equal_names_and_sizes_in_two_trees(two, tmp_path):
    """As of BMP files, which all have one size: the side tells them apart; what was trained on is not tested on."""
    for part in ("train", "test"):
        for name in ("ant", "bee", "cat"):
            shutil.rmtree(two / part / name)
            (two / part / name).mkdir()
            for number in range(2):
                (two / part / name / f"{number}.bmp").write_bytes(bmp(len(part) + number))
    data = load(two)
    known = recorded(data, tmp_path)
    again = load(two, record=known)
    assert again.train_items.tolist() == data.train_items.tolist()
    assert again.eval_items.tolist() == data.eval_items.tolist()
    delete(two, "test/ant/0.bmp")
    again = load(two, record=known, use="evaluate")
    assert len(again.eval_labels) == 5 and all(b"/test/" in path for path in again.eval_items)


def bmp(shade):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), shade, np.uint8)).save(buffer, "BMP")
    return buffer.getvalue()


def test_an_image_moved_into_the_test_folder_stays_trained(two, tmp_path):
    known = recorded(load(two), tmp_path)
    os.rename(two / "train" / "ant" / "21.jpg", two / "test" / "ant" / "21.jpg")
    again = load(two, record=known, use="evaluate")
    assert len(again.eval_labels) == 12


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: os.rename(root / "bee", root / "wasp"), "lacks 'bee' and has 'wasp'"),
        (lambda root: shutil.copytree(root / "cat", root / "bat"), "it has 'bat'"),
        (lambda root: shutil.rmtree(root / "cat"), "it lacks 'cat'"),
    ],
)
@pytest.mark.parametrize("use", ["train", "evaluate", "second_stage"])
def test_other_classes_are_refused_and_named(own, tmp_path, change, told, use):
    known = recorded(load(own), tmp_path)
    change(own)
    with pytest.raises(UserError, match=told) as error:
        load(own, record=known, use=use)
    assert "\n" not in str(error.value)


def test_names_in_nfd_are_the_same_images(own, tmp_path):
    """As a macOS disk gives them back."""
    composed, apart = (unicodedata.normalize(form, "Käfer") for form in ("NFC", "NFD"))
    os.rename(own / "bee", own / composed)
    os.rename(own / composed / "00.jpg", own / composed / f"{composed}.jpg")
    data = load(own)
    known = recorded(data, tmp_path)
    os.rename(own / composed / f"{composed}.jpg", own / composed / f"{apart}.jpg")
    os.rename(own / composed, own / apart)
    again = load(own, record=known)
    assert of(again, "train") == of(data, "train") and of(again, "eval") == of(data, "eval")
    assert load(own).eval_labels.tolist() == data.eval_labels.tolist()


def test_unreadable_files_stay_left_out(own, tmp_path):
    """Remembered with the record: not decoded again, and not taken for new ones."""
    (own / "ant" / "bad.jpg").write_text("no image")
    data = load(own, skip_unreadable=True)
    known = recorded(data, tmp_path)
    assert known.parts["unreadable"] == [(0, "bad.jpg", 8)]
    again = load(own, skip_unreadable=True, record=known)
    assert again.files().tolist() == data.files().tolist()


def test_init_from_never_tests_on_what_was_trained_on(own, tmp_path, capsys):
    """Another seed would hold out other images: those that were trained on go to the training part."""
    first = load(own)
    known = recorded(first, tmp_path)
    second = load(own, split_seed=1, started_from=known)
    assert not of(second, "eval") & of(first, "train") and of(second, "eval")
    assert of(second, "train") | of(second, "eval") == of(first, "train") | of(first, "eval")
    plain = load(own, split_seed=1)
    assert of(second, "eval") == of(plain, "eval") & of(first, "eval")
    assert f"were trained on by {tmp_path}" in capsys.readouterr().out


def test_init_from_cleans_both_parts_whichever_is_evaluated(own, tmp_path, capsys):
    """And so does a run of that run; only the part to evaluate on must not be empty."""
    first = load(own)
    second = load(own, split_seed=1, validation_fraction=0.2, started_from=recorded(first, tmp_path / "first"))
    said = capsys.readouterr().out
    for part in ("test", "validation"):
        assert not names(second, part) & names(first, "train")
        assert f"{part} images were trained on by {tmp_path / 'first'}" in said
    assert sum(len(second.parts[part]) for part in ("train", "validation", "test")) == 36
    assert names(second, "validation") | names(second, "test") <= names(first, "test")
    known = record.write(tmp_path / "second", second.class_names, second.identities(recorded(first, tmp_path)))
    third = load(own, split_seed=1, started_from=known)
    assert of(third, "eval") and not of(third, "eval") & names(first, "train")
    same_test = load(own, validation_fraction=0.2, evaluate_on="test", started_from=recorded(first, tmp_path))
    assert not len(same_test.parts["validation"]) and of(same_test, "eval") == of(first, "eval")


def test_a_record_of_an_older_version_that_tests_on_what_was_trained_on_before(own, tmp_path):
    """It stays as it is for its own run; a run that starts from it tests on none of that."""
    first, second = load(own), load(own, split_seed=1)
    known = record.write(tmp_path, second.class_names, second.identities(recorded(first, tmp_path / "first")))
    assert names(second, "test") & names(first, "train")
    assert of(load(own, record=known, use="evaluate"), "eval") == of(second, "eval")
    third = load(own, split_seed=1, started_from=known)
    assert of(third, "eval") == names(second, "test") - names(first, "train")


def test_only_what_was_drawn_from_the_training_images_returns_to_them(two, tmp_path, capsys):
    """Images of test/ are left out, also where a fraction is validated on, of which those are trained on."""
    known = recorded(load(two), tmp_path)
    os.rename(two / "train" / "ant" / "21.jpg", two / "test" / "ant" / "21.jpg")
    capsys.readouterr()
    second = load(two, validation_fraction=0.3, evaluate_on="test", started_from=known)
    assert len(second.eval_labels) == 12 and "ant/21.jpg" not in names(second, "train")
    assert len(second.train_labels) == 35 and not len(second.parts["validation"])
    said = capsys.readouterr().out
    assert "1 of 13 test images were trained on by" in said and "(ant/21.jpg); left out" in said
    assert said.count("in the training part instead") == 1


def test_evaluating_on_another_folder_of_the_same_classes(own, tmp_path, capsys):
    """Its own held-out part, as one line says; many, medium and few are those of the run."""
    first = load(own)
    known = recorded(first, tmp_path / "run")
    write_tree(tmp_path / "other", {"ant": 5, "bee": 10, "cat": 20}, sizes=(50, 60), seed=7)
    capsys.readouterr()
    other = load(tmp_path / "other", record=known, use="evaluate")
    assert other.class_counts.tolist() == first.class_counts.tolist() == [19, 7, 2]
    assert np.bincount(other.eval_labels).tolist() == [1, 2, 4] and len(other.files()) == 7
    said = capsys.readouterr().out
    assert said.startswith(f"note: {tmp_path / 'other'} has other images than {tmp_path / 'run'} recorded: ")
    assert "evaluated on the test part of these, 7 of 35; many, medium" in said and said.count("\n") == 1


def test_evaluating_on_the_images_of_an_earlier_run(own, tmp_path, capsys):
    """Of the folder that --init_from's run was trained on, only what that run held out."""
    first = load(own)
    before = recorded(first, tmp_path / "first")
    write_tree(tmp_path / "other", {"ant": 5, "bee": 10, "cat": 20}, sizes=(50, 60), seed=7)
    second = load(tmp_path / "other", started_from=before)
    known = record.write(tmp_path / "second", second.class_names, second.identities(before))
    capsys.readouterr()
    seen = load(own, split_seed=1, record=known, use="evaluate")
    assert of(seen, "eval") and of(seen, "eval") < of(first, "eval")
    assert seen.class_counts.tolist() == second.class_counts.tolist()
    said = capsys.readouterr().out
    assert f"test images were trained on by {tmp_path / 'second'}" in said and "; left out\n" in said
    for label, name in [(known.class_names[label], name) for label, name, _ in before.parts["test"]]:
        (own / label / name).unlink()
    with pytest.raises(UserError, match=f"^--data_dir={own}: all .* were trained on by .*; must hold others to"):
        load(own, split_seed=1, record=known, use="evaluate")


def test_init_from_with_a_test_folder(two, tmp_path, capsys):
    known = recorded(load(two), tmp_path)
    os.rename(two / "train" / "ant" / "21.jpg", two / "test" / "ant" / "21.jpg")
    second = load(two, started_from=known)
    assert len(second.eval_labels) == 12 and "1 of 13 test images were trained on" in capsys.readouterr().out


def test_photos_of_an_earlier_run_under_other_paths_are_noted(own, tmp_path, capsys):
    """They are other images to a record, which goes by class, path and size."""
    known = recorded(load(own), tmp_path)
    for name in ("ant", "bee", "cat"):
        os.rename(own / name, tmp_path / name)
        os.makedirs(own / name)
        os.rename(tmp_path / name, own / name / "2024")
    capsys.readouterr()
    data = load(own, started_from=known)
    held_out = {(name.rpartition("/")[2], size) for _, name, size in known.parts["test"]}
    alike = sum((os.path.basename(path.decode()), os.path.getsize(path)) not in held_out for path in data.eval_items)
    assert alike > 2
    said = f"note: {alike} of {len(data.eval_items)} test images have name and size of images that {tmp_path} was "
    assert capsys.readouterr().out.startswith(said)


def test_a_validation_set_that_was_trained_on_is_refused(own, tmp_path):
    known = recorded(load(own), tmp_path)
    with pytest.raises(UserError, match="all [0-9]+ of [0-9]+ validation images were trained on"):
        load(own, started_from=known, validation_fraction=0.2)


def test_what_earlier_runs_were_trained_on_is_handed_on(two, tmp_path):
    """A run of a run of a run: the first one's training images are tested on by none."""
    first = recorded(load(two), tmp_path / "first")
    os.rename(two / "train" / "ant" / "21.jpg", two / "test" / "ant" / "21.jpg")
    second = load(two, started_from=first)
    rows = second.identities(first)
    assert [name for _, name, _ in rows["earlier"]] == ["21.jpg"]
    third = load(two, started_from=record.write(tmp_path / "second", second.class_names, rows))
    assert len(third.eval_labels) == 12
