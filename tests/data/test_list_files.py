"""Lists as people write them: three formats, their endings and encodings, and what is no list."""

import json

import pytest

from bbn_tf.data import list_files
from bbn_tf.errors import UserError


def read(folder, content, name="list.txt", **settings):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list_files.read("train_list", str(file), **settings)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_text(tmp_path, end, start):
    """The label stands after the last blank; blank lines count as lines; U+2028 ends none."""
    lines = ["train/a 1.JPEG 0", "", "Zo\u00eb\u2028/\u732b.jpg\t12", "train\\b.jpg  ant "]
    images = read(tmp_path, start + end.join(lines).encode())
    assert images.paths == ["train/a 1.JPEG", "Zo\u00eb\u2028/\u732b.jpg", "train/b.jpg"]
    assert images.labels == ["0", "12", "ant"] and images.places == [1, 3, 4] and images.groups is None
    assert images.at(1) == f"--train_list={tmp_path}/list.txt: line 3"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv(tmp_path, delimiter):
    """Other columns are passed over; a quoted field may hold the delimiter and a line's end."""
    rows = ["label|note|image|patient", "benign|x|a.jpg|p1", f'"nv{delimiter} new"|"two\nlines"|b c.jpg|p2', ""]
    content = "\r\n".join(rows).replace("|", delimiter)
    images = read(tmp_path, content, "LIST.CSV", columns=("image", "label", "patient"))
    assert images.paths == ["a.jpg", "b c.jpg"] and images.labels == ["benign", f"nv{delimiter} new"]
    assert images.groups == ["p1", "p2"] and images.places == [2, 4]
    without = read(tmp_path, content, "list.txt", columns=("image", "label"))
    assert without.paths == images.paths and without.groups is None


def test_csv_of_usual_columns(tmp_path):
    assert read(tmp_path, "path,label\na.jpg,3\n", "list.csv").labels == ["3"]


def test_json_of_the_published_code(tmp_path):
    annotations = [
        {"image_id": 7, "im_height": 3, "im_width": 4, "category_id": 2, "fpath": "/data/a.jpg"},
        {"fpath": "b.jpg", "category_id": 0},
    ]
    images = read(tmp_path, json.dumps({"annotations": annotations, "num_classes": 5}), "list.json")
    assert images.paths == ["/data/a.jpg", "b.jpg"] and images.labels == ["2", "0"] and images.num_classes == 5
    assert images.at(1).endswith(": annotation 2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": is empty"),
        (" \r\n\n", ": is empty"),
        ("\ufeff", ": names no image"),
        ("a.jpg 0\nb.jpg\n", ": line 2: 'b.jpg' has no label; must be a path, a blank and a label"),
        (b"a.jpg 0\nb\xff.jpg 1\n", ": line 2: is no text in UTF-8"),
        (b"a.jpg 0\n\nb\0.jpg 1\n", ": line 3: is no text"),
        ("a.jpg 0\n".encode("utf-16"), ": is text in UTF-16; save it in UTF-8"),
    ],
)
def test_what_is_no_text_list(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, content)
    assert f"--train_list={tmp_path}/list.txt{message}" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a.jpg 0\nb.jpg 1\n", ": line 1: has no column 'path' but 'a.jpg 0'; name those of path, label and"),
        ("path,target\na,1\n", ": line 1: has no column 'label' but 'path,target'"),
        ("path,label\n", ": names no image"),
        ("path,label\na.jpg,0\n\nb.jpg,\n", ": line 4: has no label; every image needs path, label"),
        ("path,label\n,0\n", ": line 2: has no path"),
        ("path,label\na,b.jpg,0\n", ": line 2: has 3 columns, the header has 2"),
        ('path,label\n"a.jpg,0\n', ": line 2: is no CSV (unexpected end of data)"),
    ],
)
def test_what_is_no_csv(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, content, "list.csv")
    assert f"--train_list={tmp_path}/list.csv{message}" in str(error.value) and "\n" not in str(error.value)


def test_csv_without_a_group(tmp_path):
    with pytest.raises(UserError, match="line 3: has no group; every image needs path, label, group"):
        read(tmp_path, "path,label,who\na,0,p1\nb,0,\n", "list.csv", columns=("path", "label", "who"))


GOOD = {"fpath": "a.jpg", "category_id": 0}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", ": is no JSON (Expecting property name"),
        ("[" * 100_000, ": is no JSON ("),
        ("[]", ": has no list of annotations; must be"),
        ("{}", ": has no list of annotations"),
        ('{"annotations": {}}', ": has no list of annotations"),
        ('{"annotations": []}', ": names no image"),
        (json.dumps({"annotations": [GOOD, {"image_id": 1, "category_id": 2}]}), ": annotation 2: has no fpath"),
        (json.dumps({"annotations": [{**GOOD, "category_id": "0"}]}), ": annotation 1: has no fpath or no"),
        (json.dumps({"annotations": [{**GOOD, "category_id": True}]}), ": annotation 1: has no fpath or no"),
        (json.dumps({"annotations": [{**GOOD, "fpath": ""}]}), ": annotation 1: has no path"),
        (json.dumps({"annotations": [3]}), ": annotation 1: has no fpath"),
        (json.dumps({"annotations": [GOOD, {**GOOD, "fpath": "\ud800.jpg"}]}), ": annotation 2: '\\ud800.jpg' can't"),
        (json.dumps({"annotations": [{**GOOD, "fpath": "a\0.jpg"}]}), ": annotation 1: 'a\\x00.jpg' can't be the name"),
        (json.dumps({"annotations": [GOOD], "num_classes": "10"}), ": num_classes is '10'; must be a whole number"),
    ],
)
def test_what_is_no_json_list(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, content, "list.json")
    assert f"--train_list={tmp_path}/list.json{message}" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "reason"), [("nowhere.txt", "No such file or directory"), (".", "Is a directory")])
def test_what_is_no_file(tmp_path, monkeypatch, name, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        list_files.read("eval_list", name)
    assert str(error.value) == f"--eval_list={name}: can't be read ({reason}); looked for {(tmp_path / name).resolve()}"


def test_paths_begin_at_the_folder():
    paths = ["a b/c.jpg", "./x.jpg", "a//b/../c.jpg", "/data/x.jpg", "\u732b.jpg", "a..b/.c/d.jpg"]
    assert list_files.absolute(paths, "/photos").tolist() == [
        b"/photos/a b/c.jpg",
        b"/photos/x.jpg",
        b"/photos/a/c.jpg",
        b"/data/x.jpg",
        "/photos/\u732b.jpg".encode(),
        b"/photos/a..b/.c/d.jpg",
    ]


def test_paths_that_are_no_text():
    """As Python spells their bytes."""
    paths, folder = ["a.jpg", "\udcfe/../\udcfd.jpg"], "/photos/\udcff"
    assert list_files.absolute(paths, folder).tolist() == [b"/photos/\xff/a.jpg", b"/photos/\xff/\xfd.jpg"]
