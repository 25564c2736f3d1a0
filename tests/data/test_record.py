"""The record of a run's images: written as text, read back, and refused when damaged."""

import gzip

import pytest

from bbn_tf.data import record
from bbn_tf.errors import UserError

CLASSES = ("ant", 'bee, "the" wasp', "cät\n2\r")
PARTS = {
    "train": [(0, "00.jpg", 1234), (1, "deep/er, 1.jpg", 5), (2, "\udcff.png", 0), (0, "01.jpg", 7)],
    "test": [(1, "=1+1.jpg", 3)],
    "unreadable": [(2, "x\ny.jpg", -1), (0, "old\rMac.jpg", 3), (1, "\r\n", 4)],
}


def test_what_a_person_reads(tmp_path):
    record.write(
        tmp_path, ("ant", "bee"), {"train": [(0, "00.jpg", 1234), (1, "b/1.png", 5)], "test": [(0, "2.jpg", 6)]}
    )
    assert (tmp_path / "images.csv").read_text().splitlines() == [
        "# images of a run: 3 of 2 classes",
        "part,class,path below the class,bytes",
        "class,ant,,",
        "class,bee,,",
        "train,ant,00.jpg,1234",
        "train,bee,b/1.png,5",
        "test,ant,2.jpg,6",
    ]


def test_what_is_written_is_read(tmp_path):
    """Names with commas, quotes, line ends, umlauts and bytes that are no text, in their order."""
    written = record.write(tmp_path, CLASSES, PARTS)
    read = record.read(tmp_path)
    assert read == written and read.class_names == CLASSES
    assert read.parts == {**PARTS, "validation": [], "earlier": []}


def test_what_older_versions_wrote_is_read(tmp_path):
    """With other line ends."""
    written = record.write(tmp_path, ("ant", "bee"), {"train": [(0, "00.jpg", 1234), (1, "b/1.png", 5)]})
    path = tmp_path / "images.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert record.read(tmp_path) == written and b"\r" not in path.read_bytes()


def test_large_ones_are_packed(tmp_path):
    keys = [(i % 3, f"{i:05}.jpg", i) for i in range(10_001)]
    record.write(tmp_path, CLASSES, {"train": keys})
    assert [path.name for path in tmp_path.iterdir()] == ["images.csv.gz"]
    assert record.read(tmp_path).parts["train"] == keys
    assert gzip.decompress((tmp_path / "images.csv.gz").read_bytes()).startswith(b"# images of a run: 10001 of 3")
    record.write(tmp_path / "fewer", CLASSES, {"train": keys[:-1]})
    assert (tmp_path / "fewer" / "images.csv").is_file()


def test_only_one_is_left(tmp_path):
    """A smaller record takes the place of a packed one, and the other way round."""
    large = [(0, f"{i}.jpg", i) for i in range(10_001)]
    for keys in (large, large[:2], large):
        record.write(tmp_path, CLASSES, {"train": keys})
        assert record.read(tmp_path).parts["train"] == keys and len(list(tmp_path.iterdir())) == 1
    record.delete(tmp_path)
    assert record.read(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text[: text.rindex("test")],
        lambda text: "",
        lambda text: "<html>",
        lambda text: text.replace("1234", "x"),
        lambda text: text.replace("train", "tram"),
        lambda text: text + "test,ant,1,2\n",
        lambda text: text.replace("class,ant", "class,ape"),
        lambda text: text.replace("3 classes", "2 classes"),
        lambda text: text.replace("5\n", "5,6\n"),
        lambda text: text.replace("bytes", "byte"),
    ],
)
def test_damage_is_named(tmp_path, change):
    record.write(tmp_path, CLASSES, {part: keys for part, keys in PARTS.items() if part != "unreadable"})
    path = tmp_path / "images.csv"
    text = path.read_text(errors="surrogateescape")
    path.write_text(change(text), errors="surrogateescape")
    assert change(text) != text
    with pytest.raises(UserError, match="images.csv: damaged, can't be read as a run's list of images") as error:
        record.read(tmp_path)
    assert "\n" not in str(error.value)


def test_damage_of_a_packed_one(tmp_path):
    record.write(tmp_path, CLASSES, {"train": [(0, f"{i}.jpg", i) for i in range(10_001)]})
    path = tmp_path / "images.csv.gz"
    whole = path.read_bytes()
    for content in (whole[:1000], b"", whole[:-4], whole[:500] + bytes(100) + whole[600:], b"text"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="images.csv.gz: damaged"):
            record.read(tmp_path)


def test_digest_is_of_the_images(tmp_path):
    """The same whatever the order and whichever training images are validated on; another with one image more."""

    def digest(**parts):
        return record.write(tmp_path, CLASSES, parts).digest()

    one, two, three = (0, "1.jpg", 1), (1, "2.jpg", 2), (2, "3.jpg", 3)
    same = digest(train=[one, two], test=[three])
    assert same == digest(train=[two], validation=[one], test=[three]) == digest(train=[two, one], test=[three])
    others = [
        digest(train=[one], test=[three]),
        digest(train=[one, three], test=[two]),
        digest(train=[one, (1, "2.jpg", 3)], test=[three]),
    ]
    assert len({same, *others}) == 4
