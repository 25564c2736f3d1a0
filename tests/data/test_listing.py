"""Which files count as images, what is skipped everywhere, what is counted."""

import os
import unicodedata

import pytest

from bbn_tf.data import listing
from bbn_tf.errors import UserError
from bbn_tf.runs.folder import RunFolder


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")


def found(folder):
    lister = listing.Listing()
    return [os.path.relpath(path, folder) for path in lister.images(str(folder))], lister


def test_endings_of_images(tmp_path):
    """All that TensorFlow decodes, in small or capital letters; the rest is counted by ending."""
    images = ["a.JPG", "b.jpe", "c.jfif", "d.jpeg", "e.png", "f.webp", "g.bmp", "h.GIF"]
    files(tmp_path, *images, "1.tif", "2.TIF", "3.tif", "4.heic", "notes", "deep/er/i.png", "deep/5.heic")
    names, lister = found(tmp_path)
    assert names == [*images, "deep/er/i.png"]
    assert lister.left_out() == "6 files left out: 3 .tif, 2 .heic, 1 without an ending"


def test_nothing_left_out(tmp_path):
    files(tmp_path, "a.jpg")
    assert found(tmp_path)[1].left_out() is None
    files(tmp_path, "a.avif")
    assert found(tmp_path)[1].left_out() == "1 file left out: 1 .avif"


def test_what_systems_leave_is_skipped(tmp_path):
    files(
        tmp_path,
        "a.jpg",
        ".DS_Store",
        "._a.jpg",
        "Thumbs.db",
        "THUMBS.DB",
        ".cache/b.jpg",
        "__MACOSX/c.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "in/@eaDir/d.jpg",
    )
    names, lister = found(tmp_path)
    assert names == ["a.jpg"] and lister.left_out() is None


def test_links_are_followed(tmp_path):
    files(tmp_path, "one/a.jpg", "other/b.jpg")
    (tmp_path / "one" / "more").symlink_to(tmp_path / "other")
    (tmp_path / "one" / "gone.jpg").symlink_to("nowhere")  # listed, to be named as unreadable
    assert found(tmp_path / "one")[0] == ["a.jpg", "gone.jpg", "more/b.jpg"]


@pytest.mark.parametrize("target", ["one", "."])
def test_links_into_themselves_are_refused(tmp_path, target):
    files(tmp_path, "one/two/a.jpg")
    (tmp_path / "one" / "two" / "up").symlink_to(tmp_path / target)
    with pytest.raises(UserError, match="two/up: is a link to a folder that it lies in"):
        found(tmp_path / "one")


def test_links_in_a_circle_are_refused(tmp_path):
    files(tmp_path, "one/a.jpg", "other/b.jpg")
    (tmp_path / "one" / "x").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "y").symlink_to(tmp_path / "one")
    with pytest.raises(UserError, match="one/x/y: is a link to a folder that it lies in"):
        found(tmp_path / "one")


def test_an_unreadable_folder_is_named(tmp_path, monkeypatch):
    files(tmp_path, "one/two/a.jpg")
    scandir = os.scandir

    def refusing(path):
        if os.fspath(path).endswith("two"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match=r"one/two: can't be read \(Permission denied\)"):
        found(tmp_path)


def test_a_pipe_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    names, lister = found(tmp_path)
    assert names == [] and lister.left_out() == "1 file left out: 1 .jpg"


def test_folders_of_runs_are_passed_over(tmp_path):
    """A run's, a compared pair's and a report's, by what the program itself writes."""
    files(
        tmp_path, "a.jpg", "pair/error_by_class.png", "report/1_errors.png", "report/results.csv", "report/results.md"
    )
    for folder in ("run", "pair/bbn"):
        RunFolder(tmp_path / folder).prepare({"epochs": "1"}, overwrite=False)
    files(tmp_path, "run/picture.png")
    names, lister = found(tmp_path)
    assert names == ["a.jpg"] and [os.path.basename(run) for run in lister.runs] == ["pair", "report", "run"]


def test_names_are_shown_in_one_line():
    assert listing.shown(b"a\nb/\xff.jpg") == "a\\nb/\\udcff.jpg"
    assert listing.shown(unicodedata.normalize("NFC", "é$'\"")) == "é$'\""
