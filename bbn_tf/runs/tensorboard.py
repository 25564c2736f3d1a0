"""What TensorBoard shows of a run: curves, pictures, flags, hyperparameters and, on request, a trace.

TensorFlow writes the summaries whichever backend Keras runs on.
"""

import os
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams_api

from bbn_tf.data import listing
from bbn_tf.files import writing
from bbn_tf.runs import pictures
from bbn_tf.runs.tables import left_out_notes
from bbn_tf.training.evaluation import classifier_norms

SHEET_IMAGES = 32
STREAMS = {1: ("input",), 2: ("conventional input", "rebalancing input")}


class EventLog:
    """A run's one event file: every epoch is appended at once, and cut off again if its checkpoint is missing.

    One file and not one an epoch, since TensorBoard keeps every event file of every run open, and gives
    up at the usual limit of 1,024.

    Args:
        folder: where the file is, the run's name in TensorBoard.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.path = None

    def restart(self, summarise, epochs_done):
        """Begins a new file with what `summarise` writes, as step 0, and the old one's steps 1 to `epochs_done`.

        The new name sorts behind the old one, so that a TensorBoard that is running turns to it; of steps
        that come again it shows the later ones.

        Args:
            summarise: () -> None, calls tf.summary functions.
            epochs_done: epochs that the run's checkpoint has behind it.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        old = self._files()
        kept = [record for record in _records(old[-1]) if 0 < _step(record) <= epochs_done] if old else []
        temporary = self.folder / ".tmp-restart"  # without "tfevents", by which TensorBoard knows its files
        _write_through(temporary, "wb", _event_file(summarise, 0) + _framed(kept))
        self.path = self.folder / f"events.out.tfevents.{time.time_ns()}"
        with writing(self.path):
            os.replace(temporary, self.path)
            for file in old:
                file.unlink()

    def append(self, summarise, step):
        """Adds what `summarise` (() -> None) writes by tf.summary functions at `step`, the epochs done."""
        _write_through(self.path, "ab", _event_file(summarise, step))

    def _files(self):
        """Oldest first; the profiler's empty marker files have another ending."""
        return sorted(self.folder.glob("events.out.tfevents.*[0-9]"))


def _event_file(summarise, step):
    """The bytes of an event file with what `summarise` writes, made in memory (TensorFlow's ram:// files)."""
    folder = f"ram://summaries-{time.time_ns()}"
    writer = tf.summary.create_file_writer(folder)
    with writer.as_default(step):
        summarise()
    writer.close()
    (name,) = tf.io.gfile.listdir(folder)
    content = _in_memory(f"{folder}/{name}")
    tf.io.gfile.rmtree(folder)
    return content


def _framed(records):
    """The bytes of an event file, a TFRecord file, with `records`."""
    path = f"ram://records-{time.time_ns()}"
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    content = _in_memory(path)
    tf.io.gfile.remove(path)
    return content


def _in_memory(path):
    with tf.io.gfile.GFile(path, "rb") as file:
        return file.read()


def _write_through(path, mode, content):
    with writing(path), open(path, mode) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _records(path):
    """Yields the records (bytes) of an event file up to the first that is damaged, as a kill can leave it."""
    try:
        yield from tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    except tf.errors.DataLossError:
        return


def _step(record):
    return tf.compat.v1.Event.FromString(record).step


class WriteSummaries(keras.callbacks.Callback):
    """Writes the run's settings and first images once, every epoch's figures, and pictures where it was evaluated.

    Step: the number of epochs done.  `images_per_second` counts all images that the network was trained
    on, BBN's of both streams, over the time from the first to the last step of the epoch.

    Args:
        log: `EventLog`.
        evaluate: `bbn_tf.training.evaluation.Evaluator`, whose last confusion matrix is drawn.
        flags: dict name -> text of every flag.
        hyperparameters: dict name -> bool, number or text, by which runs are compared.
        first_batches: () -> list of (images float [B, H, W, 3], labels int [B]), one a stream.
    """

    async_safe = True

    def __init__(self, log, evaluate, *, flags, hyperparameters, first_batches):
        super().__init__()
        self.log, self.evaluate, self.dataset = log, evaluate, evaluate.dataset
        self.first_batches = first_batches
        self.flags = {name: listing.shown(text) for name, text in flags.items()}  # a path may be any bytes
        self.hyperparameters = {
            name: listing.shown(value) if isinstance(value, str) else value for name, value in hyperparameters.items()
        }

    def on_epoch_begin(self, epoch, logs=None):
        if self.log.path is None:  # only now the epoch is known from which the run resumes
            self.log.restart(self._summarise_start, epoch)
        self.begin = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.end = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        speed = self.params["steps"] * self.images_a_step / (self.end - self.begin)
        self.log.append(lambda: self._summarise_epoch({**logs, "images_per_second": speed}, epoch + 1), epoch + 1)

    def _summarise_start(self):
        tf.summary.text("flags", "\n".join(f"    --{name}={text}" for name, text in self.flags.items()))
        hparams_api.hparams(self.hyperparameters, trial_id=self.flags["model_dir"])
        batches = self.first_batches()
        hosts = int(self.flags.get("num_hosts", 1))  # each of which has its share of the batch
        self.images_a_step = hosts * sum(len(labels) for _, labels in batches)
        for stream, (images, labels) in zip(STREAMS[len(batches)], batches, strict=True):
            if images.ndim != 4:  # a second stage's features
                continue
            seen = denormalise(images[:SHEET_IMAGES], self.dataset.mean, self.dataset.std)
            title = f"{stream}: the first images of epoch 1"
            sheet = pictures.image_sheet(seen, labels[:SHEET_IMAGES], self.dataset.class_names, title)
            _picture(stream.replace(" ", "_"), sheet)

    def _summarise_epoch(self, figures, epochs_done):
        for name, value in figures.items():
            tf.summary.scalar(scalar_tag(name), value)
        if "top1_error" in figures:
            for name, value in self.evaluate.figures["shifted_error"].items():
                tf.summary.scalar(f"shifted_error/{name}", value)
            if notes := left_out_notes([self.evaluate.figures | {"class_names": self.dataset.class_names}]):
                tf.summary.text("left_out", notes[0])
            classes = (self.dataset.class_names, self.dataset.class_counts)
            norms = {pictures.CLASSIFIERS[name]: values for name, values in classifier_norms(self.model).items()}
            title = f"Classifier weights after epoch {epochs_done}"
            _picture("classifier_norms", pictures.norm_profile(norms, *classes, title))
            title = f"After epoch {epochs_done}: top-1 error {figures['top1_error']:.2f} %"
            _picture("confusion", pictures.confusion_picture(self.evaluate.confusion, *classes, title))


def scalar_tag(name):
    """TensorBoard's name of a figure, by whose beginning it groups them: error, loss, accuracy or training."""
    groups = {"error": "error", "loss": "loss", "accuracy": "accuracy", "f1": "accuracy"}
    group = next((group for ending, group in groups.items() if name.endswith(ending)), "training")
    return f"{group}/{name}"


def denormalise(images, mean, std):
    """What `readers.normalise` was given: float [..., 3] -> uint8 [..., 3]."""
    scaled = np.asarray(images) * np.float32(std) + np.float32(mean)
    return np.uint8(np.rint(255 * np.clip(scaled, 0, 1)))


def _picture(name, pixels):
    tf.summary.image(f"pictures/{name}", pixels[None])


class Profile(keras.callbacks.Callback):
    """Writes a trace of some steps under `folder`/plugins/profile, for TensorBoard's profile plugin.

    Args:
        folder: the run's in TensorBoard.
        first, last: steps over the whole run, from 1; those that a resumed run has behind it are left out.
    """

    def __init__(self, folder, first, last):
        super().__init__()
        self.folder, self.first, self.last, self.running = str(folder), first, last, False

    def on_epoch_begin(self, epoch, logs=None):
        self.done = epoch * self.params["steps"]

    def on_train_batch_begin(self, batch, logs=None):
        if not self.running and self.first <= self.done + batch + 1 <= self.last:
            self._profiler()[0](self.folder)
            self.running = True

    def on_train_batch_end(self, batch, logs=None):
        if self.running and self.done + batch + 1 == self.last:
            self._profiler()[1]()
            self.running = False

    @staticmethod
    def _profiler():
        """(start, stop) of the backend's profiler."""
        if keras.backend.backend() == "jax":
            import jax

            return jax.profiler.start_trace, jax.profiler.stop_trace
        return tf.profiler.experimental.start, tf.profiler.experimental.stop
