"""A data set as TFDS prepares it, with random access (array_record) and without (tfrecord)."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from bbn_tf.data import input_pipeline, tfds_records
from bbn_tf.errors import UserError
from tests import in_process


class TinyRecords(tfds.core.GeneratorBasedBuilder):
    """Image i is all of grey 7 * label; the fields are i_naturalist2018's."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"image": tfds.features.Image(), "id": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=["a", "b", "c"])}  # fmt: skip
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(40), "validation": self._generate_examples(9)}

    def _generate_examples(self, count):
        for i in range(count):
            label = min(i % 9, 2)
            yield i, {"image": np.full((24, 30 + i, 3), 70 * label, np.uint8), "label": label, "id": str(i)}


def prepare(folder, file_format):
    TinyRecords(data_dir=str(folder), file_format=file_format).download_and_prepare()


def test_records_are_read_when_drawn(tmp_path):
    prepare(tmp_path, "array_record")
    data = tfds_records.load(str(tmp_path), "tiny_records", image_size=16)
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
        np.testing.assert_allclose(
            grey, np.broadcast_to(70 / 255 * np.asarray(y)[:, None, None, None], grey.shape), atol=0.01
        )


def test_no_random_access_costs_one_line(tmp_path):
    prepare(tmp_path, "tfrecord")
    with pytest.raises(UserError, match="holds tfrecord files, which have no random access.*array_record") as error:
        tfds_records.load(str(tmp_path), "tiny_records", image_size=16)
    assert "\n" not in str(error.value)


def test_not_prepared(tmp_path):
    command = ["--dataset=i_naturalist2018", "--mode=describe", f"--data_dir={tmp_path}", f"--output={tmp_path}/x.png"]
    status, message = in_process.run(*command)
    assert status == 1 and "--dataset=i_naturalist2018: not prepared in" in message and "\n" not in message
    with pytest.raises(UserError, match="--skip_unreadable=True: has no meaning with --dataset=i_naturalist2018"):
        in_process.parse("--dataset=i_naturalist2018", "--skip_unreadable")
