"""Data sets as TFDS prepares them, in both of its formats: small ones in memory, others read when drawn."""

import dataclasses

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bbn_tf.data import input_pipeline, long_tail, small_sets, tfds_builders, tfds_labels, tfds_records
from bbn_tf.data.image_dataset import ImageDataset
from bbn_tf.errors import UserError
from tests import in_process

FORMATS = ("tfrecord", "array_record")


class _Tiny(tfds.core.GeneratorBasedBuilder):
    """40 images to train on, 9 to evaluate on, of three classes: image i is all of grey 70 * label."""

    VERSION = tfds.core.Version("1.0.0")
    SHAPE = (None, None, 3)
    CLASSES = ("a", "b", "c")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=self.SHAPE),
            "id": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=list(self.CLASSES)),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(40), "validation": self._generate_examples(9)}

    def _generate_examples(self, count):
        for i in range(count):
            label = min(i % 9, 2)
            yield i, {"image": self.pixels(i, label), "label": label, "id": f"{i:02}"}

    def pixels(self, i, label):
        return np.full((24, 30 + i, 3), 70 * label, np.uint8)


class TinyRecords(_Tiny):
    """Of different sizes; the fields are i_naturalist2018's."""


class TinyGrey(_Tiny):
    """Of one size and one channel, 20 of each class; the first two pixels say which image it is."""

    SHAPE = (8, 6, 1)
    CLASSES = ("a", "b")

    def _generate_examples(self, count):
        for i in range(count):
            pixels = np.full((8, 6, 1), 100 + i % 2, np.uint8)
            pixels[0, :2, 0] = i % 2, i
            yield i, {"image": pixels, "label": i % 2, "id": f"{i:02}"}


class TinyTwoLabels(_Tiny):
    """As CIFAR-100: `supervised_keys` says which label is meant."""

    USUAL = ("image", "fine")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(4, 4, 3)),
            "coarse": tfds.features.ClassLabel(num_classes=2),
            "fine": tfds.features.ClassLabel(num_classes=3),
        }
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features), supervised_keys=self.USUAL
        )

    def _generate_examples(self, count):
        for i in range(count):
            yield i, {"image": np.full((4, 4, 3), 80 * (i % 3), np.uint8), "coarse": i % 2, "fine": i % 3}


class TinyNoUsualLabel(TinyTwoLabels):
    USUAL = None


class TinyTexts(_Tiny):
    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"id": tfds.features.Text()}))

    def _generate_examples(self, count):
        for i in range(count):
            yield i, {"id": str(i)}


def prepare(folder, file_format="tfrecord", builder=TinyRecords):
    builder(data_dir=str(folder), file_format=file_format).download_and_prepare()
    return str(folder)


def load(folder, name="tiny_records", splits=("train", "validation"), **settings):
    return tfds_records.load(folder, name, splits, **settings)


@pytest.mark.parametrize("file_format", FORMATS)
def test_images_of_any_size_are_decoded_when_drawn(tmp_path, file_format):
    data = load(prepare(tmp_path, file_format), image_size=16)
    assert data.class_names == ("a", "b", "c") and data.class_counts.tolist() == [5, 5, 30]
    assert np.bincount(data.eval_labels).tolist() == [1, 1, 7] and len(data.files()) == 0
    batches = input_pipeline.training_batches(
        data, 8, sampler="reversed", paired=True, augment="basic", seed=1, initial_epoch=0, epochs=1
    )
    shown = [(x, y) for images, labels in batches for x, y in zip(images, labels, strict=True)]
    shown += [(np.concatenate(list(input_pipeline.ordered_batches(data, "eval", 3))), data.eval_labels)]
    assert len(shown) == 2 * 5 + 1
    for x, y in shown:
        grey = np.asarray(x) * data.std + data.mean
        expected = np.broadcast_to(70 / 255 * np.asarray(y)[:, None, None, None], grey.shape)
        np.testing.assert_allclose(grey, expected, atol=0.01)


@pytest.mark.parametrize("file_format", FORMATS)
def test_small_images_of_one_size_stay_in_memory(tmp_path, file_format):
    """As they are, in the order of their ids; 49 * 8 * 6 * 3 bytes are the limit."""
    folder = prepare(tmp_path, file_format, TinyGrey)
    data = load(folder, "tiny_grey")
    assert type(data) is ImageDataset and data.input_shape == (8, 6, 3)
    assert data.train_items[:, 0, 1].tolist() == [[i] * 3 for i in range(40)]
    assert data.train_labels.tolist() == [0, 1] * 20 and data.eval_items[8, 0, 0].tolist() == [0, 0, 0]
    assert np.all(data.train_items[1, 1:] == 101)


@pytest.mark.parametrize(("limit", "in_memory"), [(49 * 8 * 6 * 3, True), (49 * 8 * 6 * 3 - 1, False)])
def test_larger_sets_are_read_at_random(tmp_path, monkeypatch, limit, in_memory):
    monkeypatch.setattr(tfds_records, "IN_MEMORY", limit)
    data = load(prepare(tmp_path, "array_record", TinyGrey), "tiny_grey")
    assert isinstance(data, tfds_records.RecordDataset) is not in_memory
    assert data.input_shape == ((8, 6, 3) if in_memory else (224, 224, 3))


def test_a_size_that_is_asked_for_is_cropped_to(tmp_path):
    for file_format in FORMATS:
        data = load(prepare(tmp_path / file_format, file_format, TinyGrey), "tiny_grey", image_size=16)
        assert data.input_shape == (16, 16, 3) and data.reader("train")(0).shape == (16, 16, 3)


@pytest.mark.parametrize(("builder", "name"), [(TinyRecords, "tiny_records"), (TinyGrey, "tiny_grey")])
def test_large_tfrecords_cost_one_line(tmp_path, monkeypatch, builder, name):
    monkeypatch.setattr(tfds_records, "IN_MEMORY", 5000)
    folder = prepare(tmp_path, "tfrecord", builder)
    with pytest.raises(UserError) as error:
        load(folder, name)
    assert "holds tfrecord files, which can't be read at random, and more than 5e-06 GB" in str(error.value)
    told = f"delete it and prepare it again with `tfds build {name} --data_dir={folder} --file_format=array_record`"
    assert f"tfds_name={name}: {folder}/{name}/1.0.0 holds" in str(error.value) and told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_command_for_a_folder_with_blanks(tmp_path):
    """Of TFDS's data, and of CIFAR."""
    folder = tmp_path / "my data"
    for load_it in (lambda: load(folder), lambda: small_sets.prepared_builder("tiny_records", str(folder), "file:/-")):
        with pytest.raises(UserError, match=f"`tfds build tiny_records --data_dir='{folder}'[ `]"):
            load_it()


def test_labels_are_read_once(tmp_path, monkeypatch, capsys):
    """By name, version and split; kept ones that do not fit are read again."""
    folder = prepare(tmp_path, "array_record")
    first = load(folder)
    assert "tiny_records train: reading the labels of 40 records" in capsys.readouterr().out
    again, part = load(folder), load(folder, splits=("train[:50%]", "validation"))
    said = capsys.readouterr().out
    assert "train[:50%]: reading the labels of 20" in said and "train: " not in said and "validation: " not in said
    np.testing.assert_array_equal(again.train_labels, first.train_labels)
    np.testing.assert_array_equal(part.train_labels, first.train_labels[:20])
    kept = tfds_labels.kept_in(tfds_builders.prepared("tiny_records", folder).builder, "train")
    for damaged in (b"", b"\x93NUMPY", kept.read_bytes()[:-8], (kept.parent / ".labels-validation.npy").read_bytes()):
        kept.write_bytes(damaged)
        np.testing.assert_array_equal(load(folder).train_labels, first.train_labels)
        assert "tiny_records train: reading the labels of 40 records" in capsys.readouterr().out
    kept.unlink()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    np.testing.assert_array_equal(load(folder).train_labels, first.train_labels)
    assert "note: the next start reads all labels again: " in capsys.readouterr().out


@pytest.mark.parametrize(("builder", "name"), [(TinyRecords, "tiny_records"), (TinyGrey, "tiny_grey")])
def test_the_origin_knows_the_same_images_in_either_format(tmp_path, builder, name):
    """The order matters only where images are drawn by it."""
    folders = [prepare(tmp_path / file_format, file_format, builder) for file_format in FORMATS]
    one, other = (load(folder, name).origin for folder in folders)
    assert (one.file_format, other.file_format) == FORMATS and one.train != one.eval
    assert dataclasses.replace(one, file_format="array_record") == other and one.digest() == other.digest()
    one.check(other, "RUN", "")
    shuffled = dataclasses.replace(other, order="0")
    one.check(shuffled, "RUN", "", ordered=False)
    with pytest.raises(
        UserError, match=f"RUN was trained on {name}/1.0.0 .tfrecord., but TFDS holds .*array_record.; put"
    ):
        one.check(shuffled, "RUN", "")
    with pytest.raises(UserError, match=f"{name}/1.0.0 .tfrecord. with other images or labels, or another order"):
        one.check(dataclasses.replace(one, eval="0"), "RUN", "", ordered=False)


def test_config_version_and_parts_of_splits(tmp_path):
    data = load(prepare(tmp_path), "tiny_records:1.0.0", ("train[:30]", "train[30:]"))
    assert len(data.train_labels) == 30 and len(data.eval_labels) == 10


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_usual_one_of_several_labels(tmp_path, file_format):
    data = load(prepare(tmp_path, file_format, TinyTwoLabels), "tiny_two_labels")
    assert data.class_names == ("0", "1", "2")
    assert np.array_equal(data.train_items[:, 0, 0, 0], 80 * data.train_labels)


def test_long_tail_of_a_balanced_set(tmp_path):
    """LDAM's recipe on the images sorted by id: of 20 of each class, 20 and 20 / 4."""
    folder = prepare(tmp_path, "array_record", TinyGrey)
    whole = load(folder, "tiny_grey")
    assert whole.class_counts.tolist() == [20, 20]
    kept = long_tail.subset_indices(whole.train_labels, [20, 5], 0)
    tail = whole.keep(kept)
    rng, classes = np.random.RandomState(0), [np.arange(0, 40, 2), np.arange(1, 40, 2)]
    for indices in classes:
        rng.shuffle(indices)
    assert tail.train_items[:, 0, 1, 0].tolist() == [*classes[0], *classes[1][:5]]


@pytest.mark.parametrize(
    ("name", "splits", "message"),
    [
        ("tiny_records", ("train", "test"), "tiny_records has no 'test'; it has train (40), validation (9), and"),
        ("tiny_records", ("train[", "validation"), "tiny_records has no 'train['; it has train (40)"),
        ("tiny_records", ("train", "validation[9:]"), "_splits=train,validation[9:]: 'validation[9:]' holds no image"),
        ("tiny_records", ("all[:80%]", "all[80%:]"), "=all[:80%],all[80%:]: tiny_records has no 'all[:80%]'; it has"),
        ("tiny_records", ("train[80%:20%]", "validation"), "'train[80%:20%]' holds no image"),
        ("tiny_records", ("train", "train"), "--tfds_splits=train,train: the two share images; must have none"),
        ("tiny_records", ("train[:30]", "train[29:]"), "--tfds_splits=train[:30],train[29:]: the two share images"),
        ("tiny_records:2.0.0", ("train", "validation"), "--tfds_name=tiny_records:2.0.0: TFDS can't read it in"),
        ("tiny_record", ("train", "validation"), "TFDS can't read it in --data_dir={folder}: Dataset tiny_record not"),
        ("tiny records", ("train", "validation"), "--tfds_name=tiny records: TFDS can't read it"),
        ("tiny_grey", ("train", "validation"), "tiny_grey: not prepared in {folder}/tiny_grey/1.0.0; prepare it"),
    ],
)
def test_what_is_not_there_costs_one_line(tmp_path, name, splits, message):
    folder = prepare(tmp_path)
    with pytest.raises(UserError) as error:
        load(folder, name, splits)
    assert message.format(folder=folder) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("builder", "name", "message"),
    [
        (TinyTexts, "tiny_texts", "must be a data set of images with one label, and has images none; labels none"),
        (TinyNoUsualLabel, "tiny_no_usual_label", "and has images image; labels coarse, fine"),
    ],
)
def test_other_data_sets_cost_one_line(tmp_path, builder, name, message):
    with pytest.raises(UserError, match=f"--tfds_name={name}: .*{message}"):
        load(prepare(tmp_path, builder=builder), name)


def test_a_class_without_images(tmp_path):
    folder = prepare(tmp_path)
    with pytest.raises(UserError, match="'train.:1.' has no image of class '.'") as error:
        load(folder, splits=("train[:1]", "validation"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_cost_one_line(tmp_path, file_format):
    folder = prepare(tmp_path, file_format)
    for file in (tmp_path / "tiny_records" / "1.0.0").glob("*-train.*"):
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="--tfds_name=tiny_records: .*1.0.0 can't be read .*; delete it and prepare"):
        load(folder)


def test_not_prepared(tmp_path):
    command = ["--dataset=i_naturalist2018", "--mode=describe", f"--data_dir={tmp_path}", f"--output={tmp_path}/x.png"]
    status, message = in_process.run(*command)
    assert status == 1 and "i_naturalist2018: not prepared in" in message and "\n" not in message
    with pytest.raises(UserError, match="--skip_unreadable=True: has no meaning with --dataset=i_naturalist2018"):
        in_process.parse("--dataset=i_naturalist2018", "--skip_unreadable")
