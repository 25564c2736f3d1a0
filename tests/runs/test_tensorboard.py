import csv
import math
import types

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from bbn_tf.data import readers
from bbn_tf.data.small_sets import CIFAR_MEAN, CIFAR_STD
from bbn_tf.errors import UserError
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import build, train
from bbn_tf.runs import pictures, tensorboard
from bbn_tf.runs.folder import RunFolder
from bbn_tf.training import metrics

COUNTS = np.array([20, 100, 3])
NAMES = ("frog", "cat", "a very long class name")


class Events:
    """An event folder as TensorBoard reads it, but with every point kept."""

    def __init__(self, folder):
        self.accumulator = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        self.accumulator.Reload()

    def tags(self, plugin):
        kinds = self.accumulator.summary_metadata
        return {tag for tag in kinds if kinds[tag].plugin_data.plugin_name == plugin}

    def scalars(self, tag):
        """List of (step, value), in the order of the file."""
        return [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in self.accumulator.Tensors(tag)]

    def images(self, tag):
        """dict step -> decoded PNG, uint8 [H, W, 3]."""
        return {e.step: tf.io.decode_png(e.tensor_proto.string_val[2]).numpy() for e in self.accumulator.Tensors(tag)}

    def text(self, tag):
        (event,) = self.accumulator.Tensors(tag)
        return tf.make_ndarray(event.tensor_proto).item().decode()

    def hyperparameters(self):
        """dict name -> value."""
        content = self.accumulator.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        values = metadata.parse_session_start_info_plugin_data(content).hparams
        return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


class InterruptAt(keras.callbacks.Callback):
    """Stops the process's training in the middle of an epoch, as a signal would."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place = (epoch, batch)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            raise KeyboardInterrupt


def history(config):
    with open(f"{config.model_dir}/history.csv", newline="") as file:
        return list(csv.DictReader(file))


def assert_points_are_history(config):
    """Every figure of history.csv, and nothing else but speed and shifted errors, once each, in order."""
    events, rows = Events(f"{config.model_dir}/tensorboard"), history(config)
    assert [row["epoch"] for row in rows] == [str(n) for n in range(1, config.epochs + 1)]
    expected = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("epoch", "seconds") and value != "":
                expected.setdefault(tensorboard.scalar_tag(name), []).append((int(row["epoch"]), float(value)))
    speed = events.scalars("training/images_per_second")
    shifted = {f"shifted_error/{name}" for name in metrics.SHIFTS}
    assert events.tags("scalars") == {*expected, *shifted, "training/images_per_second"}
    assert {tuple(step for step, _ in events.scalars(tag)) for tag in shifted} == {
        tuple(step for step, _ in expected["error/top1_error"])
    }
    np.testing.assert_allclose(events.scalars("shifted_error/uniform"), expected["error/balanced_error"], rtol=1e-6)
    for tag, points in expected.items():
        actual = events.scalars(tag)
        assert [step for step, _ in actual] == [step for step, _ in points], tag
        np.testing.assert_allclose([v for _, v in actual], [v for _, v in points], rtol=1e-6, err_msg=tag)
    assert [step for step, _ in speed] == list(range(1, config.epochs + 1))
    assert all(value > 0 for _, value in speed)
    return events


def test_paths_that_are_no_text_and_images_of_all_hosts(tmp_path):
    texts = {"data_dir": "/photos/\udcff", "model_dir": "run\udcff", "num_hosts": "3"}
    written = tensorboard.WriteSummaries(
        tensorboard.EventLog(tmp_path / "tensorboard"),
        types.SimpleNamespace(dataset=None),
        flags=texts,
        hyperparameters={"data_dir": "/photos/\udcff", "epochs": 3},
        first_batches=lambda: [(np.zeros([2, 4]), np.array([0, 1]))],
    )
    written.on_epoch_begin(0)
    assert written.images_a_step == 6  # here two of them
    events = Events(tmp_path / "tensorboard")
    assert "--data_dir=/photos/\\udcff\n" in events.text("flags")
    assert events.hyperparameters() == {"data_dir": "/photos/\\udcff", "epochs": 3.0}


def test_interrupted_run_of_bbn_has_every_point_once(make_config, monkeypatch):
    """Two of four epochs, a stop in the third, the remains of kills, and on."""
    config = make_config(epochs=4, eval_every=2)
    folder = RunFolder(config.model_dir).tensorboard
    with monkeypatch.context() as patch:
        usual = build.training_callbacks
        patch.setattr(build, "training_callbacks", lambda *args: [*usual(*args), InterruptAt(2, 3)])
        with pytest.raises(KeyboardInterrupt):
            train.train_and_evaluate(config)
    (file,) = folder.glob("*tfevents*")
    log = tensorboard.EventLog(folder)
    log.path = file
    for _ in range(2):
        log.append(lambda: tf.summary.scalar("loss/loss", -1.0), 3)
    file.write_bytes(file.read_bytes()[:-5])  # an epoch whose checkpoint is missing, another written by half
    (folder / "events.out.tfevents.1").write_bytes(file.read_bytes())  # killed between its two last steps
    (folder / ".tmp-restart").write_bytes(b"half")
    train.train_and_evaluate(config)

    events = assert_points_are_history(config)
    assert len(list(folder.glob("*tfevents*"))) == 1
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []
    assert events.tags("scalars") >= {
        "error/top1_error",
        "error/few_error",
        "error/conventional_error",
        "error/rebalancing_error",
        "error/worst_class_error",
        "accuracy/macro_f1",
        "accuracy/harmonic_mean_accuracy",
        "shifted_error/backward_50",
        "loss/loss",
        "loss/conventional_loss",
        "loss/rebalancing_loss",
        "training/alpha",
        "training/learning_rate",
    }
    assert events.images("pictures/classifier_norms")[4].shape == (560, 700, 3)
    assert events.images("pictures/confusion")[2].shape == (616, 700, 3)
    for tag in ("pictures/classifier_norms", "pictures/confusion"):
        assert list(events.images(tag)) == [2, 4]
    for tag in ("pictures/conventional_input", "pictures/rebalancing_input"):
        (sheet,) = events.images(tag).values()
        assert sheet.shape[1:] == (700, 3) and sheet.std() > 20
    assert set(events.text("flags").splitlines()) == {f"    --{k}={v}" for k, v in config.all_flags().items()}
    hyperparameters = events.hyperparameters()
    assert hyperparameters["backbone"] == "tiny" and hyperparameters["lr_milestones"] == "2"
    assert hyperparameters["seed"] == 0.0 and hyperparameters["nesterov"] is True
    assert set(hyperparameters) == set(config.settings())


def test_classes_without_a_test_image_are_named(tmp_path):
    confusion = np.array([[3, 1, 0], [0, 0, 0], [0, 1, 1]])
    dataset = types.SimpleNamespace(class_names=NAMES, class_counts=COUNTS)
    figures = metrics.error_summary(confusion, COUNTS)
    evaluator = types.SimpleNamespace(dataset=dataset, figures=figures, confusion=confusion)
    log = tensorboard.EventLog(tmp_path)
    callback = tensorboard.WriteSummaries(log, evaluator, flags={}, hyperparameters={}, first_batches=None)
    callback.set_model(build_plain("resnet8", (32, 32, 3), 3))
    log.restart(lambda: callback._summarise_epoch({"top1_error": figures["top1_error"]}, 1), 0)
    assert Events(tmp_path).text("left_out").endswith("worst class and shifted errors: 'cat'")


@pytest.mark.parametrize("dollars", ["Ba$$in", "$x$"])
def test_names_are_drawn_as_they_are(monkeypatch, dollars):
    figures, draw = [], pictures._pixels
    monkeypatch.setattr(pictures, "_pixels", lambda figure: (figures.append(figure), draw(figure))[1])
    names = (dollars, 'a, "b"\n', "c")
    pictures.norm_profile({dollars: np.ones(3)}, names, COUNTS, dollars)
    pictures.confusion_picture(np.eye(3, dtype=int), names, COUNTS, dollars)
    pictures.image_sheet(np.zeros((2, 8, 8, 3), np.uint8), [0, 1], names, dollars)
    for figure in figures:
        texts = [text for text in figure.findobj(matplotlib.text.Text) if "$" in text.get_text()]
        assert len(texts) > 1 and not any(text.get_parse_math() for text in texts)


def test_plain_model_in_mixed_precision_with_a_trace(make_config):
    config = make_config(
        model="plain", epochs=2, lr_milestones=(), mixed_precision=True, eval_every=0, profile_steps=(9, 11)
    )
    train.train_and_evaluate(config)
    events = assert_points_are_history(config)
    assert "adaptor" not in events.hyperparameters()
    assert list(events.images("pictures/input")) == [0]
    assert list(events.images("pictures/classifier_norms")) == list(events.images("pictures/confusion")) == [2]
    folder = RunFolder(config.model_dir).tensorboard
    (trace,) = folder.glob("plugins/profile/*/*.xplane.pb")
    assert trace.stat().st_size > 1000


@pytest.mark.parametrize("steps", [(5,), (5, 4), (0, 4), (1, 2, 3)])
def test_senseless_profile_steps_are_refused(make_config, steps):
    shown = ",".join(map(str, steps))
    with pytest.raises(UserError, match=f"^--profile_steps={shown}: must be START,STOP, .*$"):
        make_config(profile_steps=steps)


def test_profile_steps_behind_the_end_are_refused(make_config, tmp_path):
    config = make_config(profile_steps=(1, 28))  # 3 epochs of 303 // 32 = 9 steps
    with pytest.raises(UserError, match="^--profile_steps=1,28: must end by 27, the run's last step$"):
        train.train_and_evaluate(config)
    assert not list(tmp_path.iterdir())


def test_profile_steps_are_no_setting(make_config):
    assert "profile_steps" not in make_config(profile_steps=(1, 2)).settings()


def test_profiled_steps_count_over_the_run(monkeypatch, tmp_path):
    """Of 9 steps an epoch, 17 to 20 are the last two of epoch 2 and the first two of epoch 3."""
    calls = []
    profiler = (lambda folder: calls.append(("start", *place)), lambda: calls.append(("stop", *place)))
    monkeypatch.setattr(tensorboard.Profile, "_profiler", staticmethod(lambda: profiler))
    callback = tensorboard.Profile(tmp_path, 17, 20)
    callback.set_params({"steps": 9})
    for epoch in range(4):
        callback.on_epoch_begin(epoch)
        for batch in range(9):
            place = (epoch, batch)
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch)
    assert calls == [("start", 1, 7), ("stop", 2, 1)]


def test_denormalise_undoes_normalise():
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    normal = readers.normalise(images, CIFAR_MEAN, CIFAR_STD)
    restored = tensorboard.denormalise(normal, CIFAR_MEAN, CIFAR_STD)
    assert restored.dtype == np.uint8
    np.testing.assert_array_equal(restored, images)


def test_classes_stand_head_to_tail():
    assert pictures.head_to_tail([20, 100, 3, 100]).tolist() == [1, 3, 0, 2]


def test_confusion_picture_is_in_percent_of_the_row(monkeypatch):
    """Read off the cells' colours: class 1 is the head, its 40 images all right; class 2 has no image."""
    figures = []
    monkeypatch.setattr(pictures, "_pixels", figures.append)
    pictures.confusion_picture(np.array([[1, 3, 0], [0, 40, 0], [0, 0, 0]]), NAMES, COUNTS, "title")
    cells = figures[0].axes[0].images[0].get_array()
    np.testing.assert_allclose(cells, [[100, 0, 0], [75, 25, 0], [0, 0, 0]])
    ticks = [tick.get_text() for tick in figures[0].axes[0].get_yticklabels()]
    assert ticks == ["cat", "frog", "a very lon"]


def test_neighbours_share_a_cell_of_a_large_confusion_matrix():
    """Four classes head to tail 2, 0, 3, 1 in two cells: (2, 0) and (3, 1)."""
    confusion = np.array([[5, 1, 0, 0], [0, 7, 0, 2], [3, 0, 11, 0], [0, 0, 4, 13]])
    cells = pictures._in_cells(confusion, np.array([2, 0, 3, 1]), 2)
    assert cells.tolist() == [[5 + 3 + 11, 1], [4, 7 + 2 + 13]]


def test_norm_profile_is_ordered_and_labelled(monkeypatch):
    figures = []
    monkeypatch.setattr(pictures, "_pixels", figures.append)
    pictures.norm_profile({"W": [1.0, 2.0, 3.0]}, NAMES, COUNTS, "title")
    (line,) = figures[0].axes[0].lines
    assert line.get_ydata().tolist() == [2, 1, 3]
    assert f"{math.sqrt(2 / 3):.3f}" in line.get_label()
    assert [tick.get_text() for tick in figures[0].axes[0].get_xticklabels()][0] == "cat\n100"


@pytest.mark.parametrize("num_classes", [10, 100])
def test_pictures_of_few_and_many_classes(num_classes):
    names, counts = [f"class {i}" for i in range(num_classes)], np.arange(num_classes, 0, -1)
    norms = {"W_c": np.ones(num_classes), "W_r": np.ones(num_classes)}
    assert pictures.norm_profile(norms, names, counts, "title").shape == (560, 700, 3)
    confusion = np.eye(num_classes, dtype=int)
    assert pictures.confusion_picture(confusion, names, counts, "title").shape == (616, 700, 3)


def test_image_sheet_shows_every_image():
    """Eleven images of one colour each: every colour covers its share of the picture, whites aside."""
    colours = np.uint8([[20 * i, 255 - 20 * i, 128] for i in range(11)])
    images = np.broadcast_to(colours[:, None, None], (11, 32, 32, 3))
    sheet = pictures.image_sheet(images, np.zeros(11, int), NAMES, "title")
    for colour in colours:
        assert np.all(np.abs(sheet.astype(int) - colour) <= 2, axis=-1).sum() > 60 * 60
    assert matplotlib.get_backend()  # needs no display
