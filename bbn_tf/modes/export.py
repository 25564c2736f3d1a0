"""A trained model for serving: preprocessing inside, alpha fixed at 0.5, the trunk computed once.

`RUN/export/<n>/` is a SavedModel, in the layout TensorFlow Serving watches; `RUN/export/litert-<n>/` and
`RUN/export/onnx-<n>/` stand beside it, since Serving looks at names that are whole numbers only.
"""

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import tempfile

import keras
import tensorflow as tf

from bbn_tf import surroundings
from bbn_tf.data import crops, decoding, readers
from bbn_tf.errors import UserError
from bbn_tf.files import TEMPORARY, write_json, writing
from bbn_tf.modes import build
from bbn_tf.modes.formats import FORMATS
from bbn_tf.runs.exported import EXPORT_FACTS
from bbn_tf.runs.folder import RunFolder

ONNX_OPSET = 17
ENCODED = tf.TensorSpec([None], tf.string, name="image_bytes")


class Serving:
    """The computations that are exported: a model with what comes before and after it.

    All return a dict: `probabilities` float32 [B, C], `class_id` int64 [B] and, but for `pixels`,
    `class_name` string [B].

    Args:
        model: `BBN` or the plain model.
        facts: see `read_facts`.
    """

    def __init__(self, model, facts):
        self.model = model.inference()
        self.height, self.width, _ = self.model.input_shape[1:]
        self.facts = facts
        of_files = "image_size" in facts.get("settings", {})  # what metrics.json of older versions does not say
        self.central = facts.get("figures", {}).get("cropped", of_files)  # crop as its evaluation did

    def image(self, image):
        """Images uint8 [B, H, W, 3] of any one size."""
        return self._with_names(self.pixels(self._resize(image)))

    def encoded(self, image_bytes):
        """Files' contents, string [B], each of its own size; see `bbn_tf.data.decoding`.

        Raises:
            tf.errors.InvalidArgumentError: one of them can't be decoded; the message says why.
        """
        resized = tf.TensorSpec([self.height, self.width, 3], tf.float32)
        return self._with_names(self.pixels(tf.map_fn(self._decode, image_bytes, fn_output_signature=resized)))

    def pixels(self, image):
        """Images [B, H, W, 3] of the training size, values 0..255."""
        normal = readers.normalise(image, self.facts["mean"], self.facts["std"])
        probabilities = tf.nn.softmax(self.model(normal, training=False))  # [B, C]
        return {"probabilities": probabilities, "class_id": tf.argmax(probabilities, axis=-1)}

    def _decode(self, content):
        if self.central:
            return crops.decode(content, crops.central, self.height)
        return self._resize(decoding.decode(content)[None])[0]

    def _resize(self, images):
        """[B, H', W', 3] -> float32 [B, H, W, 3]; antialiased, since photos are much larger than 32x32."""
        if self.central:
            return crops.resize(crops.cut(images, crops.central(tf.shape(images)[1:3])), self.height)
        size = [self.height, self.width]
        resized = tf.cond(
            tf.reduce_all(tf.shape(images)[1:3] == size),
            lambda: tf.cast(images, tf.float32),
            lambda: tf.image.resize(images, size, antialias=True),
        )
        return tf.ensure_shape(resized, [None, *size, 3])

    def _with_names(self, outputs):
        return {**outputs, "class_name": tf.gather(tf.constant(self.facts["class_names"]), outputs["class_id"])}


def run(config):
    """Writes the trained model of `config.model_dir` in every one of `config.export_formats`.

    Args:
        config: `bbn_tf.config.Config` of a finished run.

    Returns:
        list of the folders written, with one number in common.

    Raises:
        UserError: before any work if a package or a fact is missing, the backend is not TensorFlow, or the
            run's folder can't be written to.
    """
    require_tensorflow(config.mode)
    require_packages(config.export_formats)
    run = RunFolder(config.model_dir)
    facts = read_facts(run)
    with building_folder(run.exports) as building:
        model = build.load_model(run)
        for name in config.export_formats:
            folder = building / name
            folder.mkdir(exist_ok=True)
            FORMATS[name](model, facts, folder)
        written = publish(building, run.exports)
    for folder in written:
        print(f"{folder}: written")
    return written


def require_tensorflow(mode):
    name, where = surroundings.backend()
    if name != "tensorflow":
        raise UserError(
            f"{where}: --mode={mode} needs the TensorFlow backend, on which a model trained on any backend loads; set "
            "KERAS_BACKEND=tensorflow"
        )


def require_packages(formats):
    for name in formats:
        for package in FORMATS[name].packages or ():
            if importlib.util.find_spec(package) is None:
                raise UserError(
                    f"--export_formats={','.join(formats)}: {name} needs the package {package}; install it with "
                    "`pip install -r requirements-export.txt`, or install bbn-tf with its extra `export`"
                )


def read_facts(run):
    """What is exported along with a model of a `RunFolder`.

    Returns:
        dict: `class_names`, `class_counts` (training images of each class), `mean`, `std` (per channel, of
        images scaled to [0, 1]), `settings` (flags.txt as a dict) and `figures` (metrics.json).

    Raises:
        UserError: metrics.json lacks one.
    """
    metrics = run.read_metrics()
    if metrics is None:
        raise UserError(f"--model_dir={run.path}: has no metrics.json; train it to the end first, with --mode=train")
    names = ("class_names", "class_counts", "mean", "std")
    for name in names:
        if not metrics.get(name):
            raise UserError(
                f"{run.metrics_file}: has no {name!r}, which an exported model needs; delete the file and start the "
                "run again with --mode=train, which writes it again"
            )
    return {**{name: metrics[name] for name in names}, "settings": run.read_settings(), "figures": metrics}


@contextlib.contextmanager
def building_folder(exports):
    """Makes a folder in `exports` that Serving does not look at, and removes what is left of it.

    Raises:
        UserError: it can't be made or written to, a full disk for one.
    """
    with writing(exports):
        exports.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=exports))
        try:
            yield folder
        except tf.errors.ResourceExhaustedError as error:  # how TensorFlow says that the disk is full
            raise UserError(f"{exports}: can't be written ({error.message.splitlines()[0]})") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(building, exports):
    """Moves each format's folder of `building` to its place under the next free number; returns the places."""
    taken = [path.name.rpartition("-")[2] for path in exports.iterdir() if not path.name.startswith(".")]
    number = max((int(name) for name in taken if name.isdigit()), default=0) + 1
    places = []
    for folder in sorted(building.iterdir()):
        places.append(exports / (str(number) if folder.name == "saved_model" else f"{folder.name}-{number}"))
        os.rename(folder, places[-1])
    return places


def write_saved_model(model, facts, folder):
    """A SavedModel with the signatures `serving_default` (pixels) and `encoded` (files' contents)."""
    serving = Serving(model, facts)
    archive = keras.export.ExportArchive()
    archive.track(serving.model)
    pixels = tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")
    archive.add_endpoint("serving_default", serving.image, [pixels])
    archive.add_endpoint("encoded", serving.encoded, [ENCODED])
    archive.write_out(folder, verbose=False)
    write_json(folder / EXPORT_FACTS, facts)


def write_litert(model, facts, folder):
    """`model.tflite`: signature serving_default, uint8 [B, H, W, 3] of the training size; `run.json`."""
    serving = Serving(in_float32(model), facts)
    archive = keras.export.ExportArchive()
    archive.track(serving.model)
    archive.add_endpoint("serving_default", serving.pixels, [fixed_size(serving)])
    with tempfile.TemporaryDirectory() as saved_model:
        archive.write_out(saved_model, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=["serving_default"])
        (folder / "model.tflite").write_bytes(converter.convert())
    write_json(folder / "run.json", facts)


def write_onnx(model, facts, folder):
    """`model.onnx`: input `image`, uint8 [B, H, W, 3] of the training size; `run.json`."""
    import onnx
    import tf2onnx

    serving = Serving(in_float32(model), facts)
    signature = [fixed_size(serving)]
    function = tf.function(serving.pixels, input_signature=signature, autograph=False)
    converted, _ = tf2onnx.convert.from_function(function, signature, opset=ONNX_OPSET)
    onnx.helper.set_model_props(converted, {"class_names": json.dumps(facts["class_names"])})
    onnx.save(converted, folder / "model.onnx")
    write_json(folder / "run.json", facts)


def fixed_size(serving):
    """Resizing with antialiasing is no operation of LiteRT or ONNX, so there the caller resizes."""
    return tf.TensorSpec([None, serving.height, serving.width, 3], tf.uint8, name="image")


def in_float32(model):
    """The same weights in a network that computes in float32: neither converter knows bfloat16."""
    copy = keras.models.model_from_json(model.to_json().replace("mixed_bfloat16", "float32"))
    copy.set_weights(model.get_weights())
    return copy
