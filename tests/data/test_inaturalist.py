"""iNaturalist's original layout, on a stand-in: real JSON fields, generated JPEGs, three dozen classes."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from bbn_tf.data import datasets, inaturalist, long_tail
from bbn_tf.errors import UserError
from tests import in_process

CLASSES = 36
COUNTS = long_tail.class_counts(30, CLASSES, 30)


def write(root, year=2018):
    """Both JSON files and their images; ids are neither dense nor in order, as nothing promises it."""
    rng = np.random.default_rng(0)
    tops = {2017: "train_val_images/Plantae", 2018: "train_val2018/Plantae", 2019: "train_val2019/Plants"}
    categories = [{"id": 3 * i + 2, "name": f"taxon {i}", "supercategory": "Plantae"} for i in range(CLASSES)]
    lists = {"train": "train_mini" if year == "2021_mini" else "train", "val": "val"}
    for part, counts in (("train", COUNTS), ("val", np.full(CLASSES, 2))):
        images, annotations = [], []
        for label, category in enumerate(categories):
            folder = f"{tops[year]}/{category['id']}" if year in tops else f"{lists[part]}/{label:05}_Plantae_{label}"
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(counts[label]):
                name, image = f"{folder}/{part}{number:032x}.jpg", len(images) + 1000
                height, width = (int(n) for n in rng.integers(30, 60, 2))
                Image.fromarray(np.full((height, width, 3), 7 * label, np.uint8)).save(root / name)
                images.append(
                    {
                        "id": image,
                        "file_name": name,
                        "width": width,
                        "height": height,
                        "license": 0,
                        "rights_holder": "somebody",
                    }
                )
                annotations.append({"id": image, "image_id": image, "category_id": category["id"]})
        rng.shuffle(annotations)
        content = {
            "info": {"year": year, "version": "1", "description": "", "contributor": "", "url": ""},
            "images": images,
            "categories": categories[::-1],
            "annotations": annotations,
            "licenses": [{"id": 0, "name": "none", "url": ""}],
        }
        (root / f"{lists[part]}{year if year in tops else ''}.json").write_text(json.dumps(content))
    return root


@pytest.fixture(scope="module")
def inat(tmp_path_factory):
    return write(tmp_path_factory.mktemp("inat"))


def load(root, **settings):
    return datasets.load("inaturalist2018", data_dir=str(root), image_size=32, **settings)


def test_labels_and_paths(inat):
    data = load(inat)
    assert data.class_names[:2] == ("taxon 0", "taxon 1") and data.num_classes == CLASSES
    assert data.class_counts.tolist() == COUNTS.tolist() and np.bincount(data.eval_labels).tolist() == [2] * CLASSES
    read = data.reader("train")
    for index in range(0, len(data.train_labels), 17):
        colour = (read(index).numpy() * data.std + data.mean)[16, 16] * 255
        np.testing.assert_allclose(colour, 7 * data.train_labels[index], atol=2.5)
        assert f"/{3 * data.train_labels[index] + 2}/train".encode() in data.train_items[index]


def test_2017_and_names_that_came_later(tmp_path):
    write(tmp_path, 2017)
    later = [{"id": 3 * i + 2, "name": f"Genus species{i}", "kingdom": "Plantae"} for i in range(CLASSES)]
    (tmp_path / "categories.json").write_text(json.dumps(later))
    data = datasets.load("inaturalist2017", data_dir=str(tmp_path), image_size=32)
    assert data.class_names[35] == "Genus species35" and len(data.train_labels) == COUNTS.sum()


@pytest.mark.parametrize("year", [2019, 2021, "2021_mini"])
def test_later_years(tmp_path, year):
    """With the names and places of each year's files; the full set of 2021 lies beside its small one."""
    write(tmp_path, year)
    data = inaturalist.load(str(tmp_path), year, 32)
    assert data.class_names[:2] == ("taxon 0", "taxon 1") and data.class_counts.tolist() == COUNTS.tolist()
    assert np.bincount(data.eval_labels).tolist() == [2] * CLASSES
    start = {2019: "train_val2019/Plants/2/", 2021: "train/00000_", "2021_mini": "train_mini/00000_"}[year]
    assert data.train_items[0].startswith(f"{tmp_path}/{start}".encode())
    if year == "2021_mini":
        with pytest.raises(
            UserError, match="has no train.json; must be the folder of iNaturalist 2021's .*master/2021"
        ):
            inaturalist.load(str(tmp_path), 2021, 32)


def test_names_that_are_no_text(tmp_path):
    """Of a file: its bytes as Python spells them; of half a character: one line."""
    root = tmp_path / "\udcff"
    write(root)
    file = root / "train2018.json"
    content = json.loads(file.read_text())
    name = content["images"][0]["file_name"]
    content["images"][0]["file_name"] = f"{name[:-4]}\udcfe.jpg"
    os.rename(root / name, root / content["images"][0]["file_name"])
    file.write_text(json.dumps(content))
    data = load(root)
    assert len(data.train_labels) == COUNTS.sum() and os.fsencode(root / name)[:-4] + b"\xfe.jpg" in data.train_items
    content["images"][0]["file_name"] = "\ud800.jpg"
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"train2018.json: '\\ud800.jpg' can't be the name of a file"):
        load(root)


def test_missing_images_are_named_or_left_out(tmp_path):
    write(tmp_path)
    gone = sorted((tmp_path / "train_val2018" / "Plantae" / "2").iterdir())[0]
    gone.unlink()
    total = COUNTS.sum() + 2 * CLASSES
    with pytest.raises(UserError, match=f"1 of {total} image files can't be read: .*{gone.name} .No such file"):
        load(tmp_path)
    assert len(load(tmp_path, skip_unreadable=True).train_labels) == COUNTS.sum() - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file, _: file.unlink(), "has no train2018.json; must be the folder of iNaturalist 2018's annotations"),
        (lambda file, _: file.write_text("{"), "train2018.json: damaged or no annotations of iNaturalist"),
        (lambda file, _: file.write_bytes(b"\xff\xfe"), "train2018.json: damaged or no annotations of iNaturalist"),
        (lambda file, _: file.write_text("[]"), "train2018.json: damaged or no annotations"),
        (lambda file, c: file.write_text(json.dumps({**c, "annotations": []})), "a list is empty or lacks fields"),
        (lambda file, c: file.write_text(json.dumps({**c, "images": [{"id": 3}]})), "a list is empty or lacks fields"),
        (lambda file, c: file.write_text(json.dumps({"images": c["images"]})), "(KeyError: 'annotations')"),
        (lambda file, c: (file.parent / "categories.json").write_text("{}"), "categories.json: damaged"),
        (lambda file, c: file.write_text(json.dumps({**c, "annotations": c["annotations"][1:]})), "has no annotation"),
        (lambda file, c: file.write_text(json.dumps({**c, "annotations": c["annotations"] * 2})), "more than one"),
        (lambda file, c: file.write_text(json.dumps({**c, "categories": c["categories"][1:]})), "unknown category"),
    ],
)
def test_other_files_cost_one_line(tmp_path, inat, change, message):
    for name in ("train2018.json", "val2018.json"):
        (tmp_path / name).write_text((inat / name).read_text())
    (tmp_path / "train_val2018").symlink_to(inat / "train_val2018")
    file = tmp_path / "train2018.json"
    change(file, json.loads(file.read_text()))
    with pytest.raises(UserError) as error:
        load(tmp_path)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_trains(inat, tmp_path, without_summaries):
    """From its flag file, on the stand-in with a small network."""
    flag_files = [f"--flagfile=flags/{name}.flags" for name in ("inaturalist2018", "ce")]
    small = [
        "--backbone=tiny",
        "--image_size=16",
        "--epochs=1",
        "--lr_milestones=",
        "--warmup_epochs=0",
        "--global_batch_size=64",
        "--num_devices=1",
        f"--data_dir={inat}",
        f"--model_dir={tmp_path / 'run'}",
    ]
    assert in_process.run(*flag_files, *small) == (0, "")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["num_train"] == COUNTS.sum() and len(figures["per_class_error"]) == CLASSES
    assert os.path.exists(tmp_path / "run" / "model.keras")
