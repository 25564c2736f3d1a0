import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from bbn_tf.choices import Choice
from bbn_tf.data import readers
from bbn_tf.errors import UserError
from bbn_tf.modes import build, export, formats
from bbn_tf.runs.exported import read_export_facts
from bbn_tf.runs.folder import RunFolder
from tests import forked, tiny
from tests.image_files import encoded, pillows
from tests.in_process import parse

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
KINDS = {"bbn": {}, "plain": {"model": "plain"}, "mixed": {"mixed_precision": True}}
TOLERANCE = 1e-5


def encode(images):
    """string [B] of PNG files."""
    return tf.stack([tf.io.encode_png(image) for image in images])


def expected_probabilities(config, images):
    """What the trained model itself predicts for uint8 [B, 32, 32, 3]."""
    run = RunFolder(config.model_dir)
    facts = json.loads(run.metrics_file.read_text())
    view = build.load_model(run).inference()
    logits = view.predict(readers.normalise(images, facts["mean"], facts["std"]).numpy(), verbose=0)
    return tf.nn.softmax(logits).numpy()


@pytest.fixture(scope="session")
def exported(finished_run):
    """Function kind -> (Config, folder of its SavedModel)."""
    folders = {}

    def make(kind):
        if kind not in folders:
            config = finished_run(**KINDS[kind]).replace(mode="export")
            folders[kind] = config, export.run(config)[0]
        return folders[kind]

    return make


@pytest.fixture
def copied_run(finished_run, tmp_path):
    """Config of a run that a test may damage."""
    config = finished_run()
    shutil.copytree(config.model_dir, tmp_path / "run", ignore=shutil.ignore_patterns("export"))
    return config.replace(mode="export", model_dir=str(tmp_path / "run"))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_model_answers_as_the_model_predicts(kind, exported):
    config, folder = exported(kind)
    expected = expected_probabilities(config, IMAGES)
    assert np.ptp(expected, axis=0).max() > 100 * TOLERANCE  # images can be told apart
    signatures = tf.saved_model.load(folder).signatures
    for count in (1, 5):
        outputs = [
            signatures["serving_default"](image=tf.constant(IMAGES[:count])),
            signatures["encoded"](image_bytes=encode(IMAGES[:count])),
        ]
        for output in outputs:
            assert {name: (t.dtype, t.shape) for name, t in output.items()} == {
                "probabilities": (tf.float32, (count, 10)),
                "class_id": (tf.int64, (count,)),
                "class_name": (tf.string, (count,)),
            }
            np.testing.assert_allclose(output["probabilities"], expected[:count], atol=TOLERANCE)
            np.testing.assert_array_equal(output["class_id"], expected[:count].argmax(axis=1))
            assert [name.decode() for name in output["class_name"].numpy()] == [
                str(i) for i in output["class_id"].numpy()
            ]


def test_alpha_is_half_whatever_the_weight_holds(exported):
    """Logits at alpha 1/2 are the mean of the two branches' own."""
    config, folder = exported("bbn")
    model = build.load_model(RunFolder(config.model_dir))
    assert float(model.alpha) == pytest.approx(0.1)
    branches = model.inference({"conventional": 1.0, "rebalancing": 0.0})
    facts = read_export_facts(folder)
    logits = branches(readers.normalise(IMAGES, facts["mean"], facts["std"]), training=False)
    expected = tf.nn.softmax((logits["conventional"] + logits["rebalancing"]) / 2)
    output = tf.saved_model.load(folder).signatures["serving_default"](image=tf.constant(IMAGES))
    np.testing.assert_allclose(output["probabilities"], expected, atol=TOLERANCE)


@pytest.mark.parametrize(("kind", "convolutions"), [("bbn", 5), ("plain", 3)])
def test_the_trunk_is_in_the_graph_once(kind, convolutions, exported):
    """The stem, and a last block of two in each branch."""
    _, folder = exported(kind)
    loaded = tf.saved_model.load(folder)
    for name in ("serving_default", "encoded"):
        graph = loaded.signatures[name].graph.as_graph_def()  # with every function that it calls
        assert str(graph).count('op: "Conv2D"') == convolutions


def test_other_sizes_are_resized_inside(finished_run):
    config = finished_run()
    run = RunFolder(config.model_dir)
    serving = export.Serving(build.load_model(run), export.read_facts(run))
    large = RNG.integers(0, 256, (2, 50, 70, 3), dtype=np.uint8)
    small = RNG.integers(0, 256, (2, 20, 32, 3), dtype=np.uint8)
    for images in (large, small):
        resized = tf.image.resize(images, [32, 32], antialias=True)
        expected = serving.pixels(resized)["probabilities"]
        np.testing.assert_allclose(serving.image(tf.constant(images))["probabilities"], expected, atol=TOLERANCE)
    together = serving.encoded(encode([large[0], IMAGES[0], small[1]]))["probabilities"]
    alone = [serving.image(tf.constant(image[None]))["probabilities"][0] for image in (large[0], IMAGES[0], small[1])]
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)


def test_pixels_of_training_size_are_not_touched():
    model = types.SimpleNamespace(input_shape=(None, 32, 32, 3))
    serving = export.Serving(types.SimpleNamespace(inference=lambda: model), {})
    resize = tf.function(serving._resize, input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)])
    np.testing.assert_array_equal(resize(IMAGES), IMAGES)
    averaged = resize(np.repeat(np.repeat(IMAGES, 2, axis=1), 2, axis=2))
    assert averaged.shape == IMAGES.shape and averaged.dtype == tf.float32


CLIENT = """
import json, sys
import numpy as np
import tensorflow as tf
try:
    import bbn_tf
    sys.exit("the project can be imported, this tests nothing")
except ImportError:
    pass
folder, images, result = sys.argv[1:]
loaded = tf.saved_model.load(folder)
images = np.load(images)
files = tf.stack([tf.io.encode_png(image) for image in images])
pixels = loaded.signatures["serving_default"](image=tf.constant(images))
encoded = loaded.signatures["encoded"](image_bytes=files)
try:
    loaded.signatures["encoded"](image_bytes=tf.stack([files[0], b"no image"]))
    error = ""
except tf.errors.InvalidArgumentError as raised:
    error = raised.message
facts = json.load(open(folder + "/assets.extra/run.json"))
np.savez(result, pixels=pixels["probabilities"], encoded=encoded["probabilities"], error=error,
         names=pixels["class_name"].numpy().astype(str), counts=facts["class_counts"])
"""


def test_a_process_with_tensorflow_alone_can_use_it(exported, tmp_path):
    config, folder = exported("bbn")
    np.save(tmp_path / "images.npy", IMAGES)
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [sys.executable, "-I", "-c", CLIENT, folder, tmp_path / "images.npy", tmp_path / "result.npz"]
    subprocess.run(command, cwd=empty, check=True, capture_output=True, text=True)
    result = np.load(tmp_path / "result.npz")
    expected = expected_probabilities(config, IMAGES)
    for name in ("pixels", "encoded"):
        np.testing.assert_allclose(result[name], expected, atol=TOLERANCE)
    assert [int(name) for name in result["names"]] == expected.argmax(axis=1).tolist()
    assert "Unknown image file format. One of JPEG" in str(result["error"])
    assert result["counts"][0] == 110 and result["counts"][-1] == 2


def files_that_need_care():
    """(content, pixels uint8 [H, W, 3]) of files that TensorFlow's own decoder does not read as they are meant."""
    photo = Image.fromarray(RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8))
    transparent = photo.copy()
    transparent.putalpha(100)
    jpeg = encoded(photo, "jpeg", held=6)
    yield jpeg, np.rot90(tf.io.decode_jpeg(jpeg), -1)
    for content in (
        encoded(photo, "webp", held=7),
        encoded(transparent, "webp", held=3, lossless=True),
        encoded(photo.quantize(64), "bmp"),
    ):
        yield content, pillows(content).astype(np.uint8)


def test_the_saved_model_decodes_files_as_pillow_does(exported):
    _, folder = exported("plain")
    signatures = tf.saved_model.load(folder).signatures
    contents, images = zip(*files_that_need_care(), strict=True)
    together = signatures["encoded"](image_bytes=tf.constant(contents))["probabilities"]
    for row, image in zip(together, images, strict=True):
        expected = signatures["serving_default"](image=tf.constant(image[None]))["probabilities"][0]
        np.testing.assert_allclose(row, expected, atol=TOLERANCE)
    animated = encoded(Image.new("RGB", (9, 9)), "webp", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Animated WebP; only still images are read"):
        signatures["encoded"](image_bytes=tf.constant([contents[0], animated]))


def test_a_crop_is_served_of_the_upright_image():
    """As evaluated after a training on image files."""
    model = types.SimpleNamespace(input_shape=(None, 32, 32, 3))
    serving = export.Serving(types.SimpleNamespace(inference=lambda: model), {"settings": {"image_size": 32}})
    for content, image in files_that_need_care():
        expected = serving._resize(tf.constant(image[None]))[0]
        np.testing.assert_allclose(serving._decode(tf.constant(content)), expected, atol=16)
        assert np.abs(serving._decode(tf.constant(content)) - expected).mean() < 0.5


def saved_model_cli(*arguments):
    process = forked.run("-m", "tensorflow.python.tools.saved_model_cli", *arguments)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_saved_model_cli_shows_and_runs_it(exported, tmp_path):
    config, folder = exported("plain")
    shown = saved_model_cli("show", "--dir", folder, "--all")
    for text in (
        "signature_def['serving_default']",
        "inputs['image'] tensor_info:\n        dtype: DT_UINT8",
        "shape: (-1, -1, -1, 3)",
        "signature_def['encoded']",
        "inputs['image_bytes'] tensor_info:\n        dtype: DT_STRING",
        "outputs['class_id'] tensor_info:",
        "outputs['class_name'] tensor_info:",
        "outputs['probabilities'] tensor_info:",
    ):
        assert text in shown, text
    np.save(tmp_path / "images.npy", IMAGES)
    signature = ("--tag_set", "serve", "--signature_def", "serving_default")
    inputs = ("--inputs", f"image={tmp_path / 'images.npy'}", "--outdir", tmp_path)
    saved_model_cli("run", "--dir", folder, *signature, *inputs)
    np.testing.assert_allclose(
        np.load(tmp_path / "probabilities.npy"), expected_probabilities(config, IMAGES), atol=TOLERANCE
    )


def test_what_is_recorded_with_it(exported):
    config, folder = exported("bbn")
    facts = read_export_facts(folder)
    dataset = build.dataset(config)
    assert facts["class_names"] == [str(i) for i in range(10)]
    assert facts["class_counts"] == dataset.class_counts.tolist()
    assert (facts["mean"], facts["std"]) == (list(dataset.mean), list(dataset.std))
    assert facts["settings"] == config.settings()
    assert (
        facts["figures"]["top1_error"] == json.loads(RunFolder(config.model_dir).metrics_file.read_text())["top1_error"]
    )


def test_every_format_has_its_writer():
    assert list(formats.FORMATS) == ["saved_model", "litert", "onnx"]


def run_litert(path, images):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    return Interpreter(str(path)).get_signature_runner("serving_default")(image=images)


def run_onnx(path, images):
    session = pytest.importorskip("onnxruntime").InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    assert json.loads(session.get_modelmeta().custom_metadata_map["class_names"])[3] == "3"
    return dict(zip(names, session.run(None, {"image": images}), strict=True))


@pytest.mark.filterwarnings(r"ignore:\s+Warning. tf.lite.Interpreter is deprecated:UserWarning")
@pytest.mark.parametrize("kind", ["bbn", "mixed"])
@pytest.mark.parametrize(
    ("name", "file", "run"), [("litert", "model.tflite", run_litert), ("onnx", "model.onnx", run_onnx)]
)
def test_other_formats_answer_alike(name, file, run, kind, finished_run, exported, tmp_path):
    """The mixed one too, but with the same weights in float32: bfloat16 has 8 bits of mantissa."""
    if name == "onnx":
        pytest.importorskip("tf2onnx")
    config, folder = exported(kind)
    model, facts = build.load_model(RunFolder(config.model_dir)), read_export_facts(folder)
    formats.FORMATS[name](model, facts, tmp_path)
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    for count in (1, 5):
        output = run(tmp_path / file, IMAGES[:count])
        expected = signature(image=tf.constant(IMAGES[:count]))["probabilities"]
        tolerance = 0.05 if kind == "mixed" else TOLERANCE
        np.testing.assert_allclose(output["probabilities"], expected, atol=tolerance)
        assert output["class_id"].dtype == np.int64 and output["probabilities"].dtype == np.float32
        np.testing.assert_array_equal(output["class_id"], output["probabilities"].argmax(axis=1))
    assert json.loads((tmp_path / "run.json").read_text()) == facts


def fake_writer(model, facts, folder):
    (folder / "file").write_text("x")


def test_each_export_takes_the_next_number_and_leaves_the_others(copied_run, monkeypatch):
    monkeypatch.setattr(export, "FORMATS", dict.fromkeys(formats.FORMATS, Choice(fake_writer)))
    exports = pathlib.Path(copied_run.model_dir) / "export"
    (exports / "7").mkdir(parents=True)
    (exports / ".tmp-99").mkdir()
    both = copied_run.replace(export_formats=("saved_model", "litert"))
    assert sorted(path.name for path in export.run(both)) == ["8", "litert-8"]
    onnx = copied_run.replace(export_formats=("litert",))
    assert [path.name for path in export.run(onnx)] == ["litert-9"]
    assert [path.name for path in export.run(copied_run)] == ["10"]
    numbers = {path.name for path in exports.iterdir() if path.name.isdigit()}  # what Serving looks at
    assert numbers == {"7", "8", "10"}


def test_nothing_is_published_by_half(copied_run, monkeypatch):
    def breaks(model, facts, folder):
        fake_writer(model, facts, folder)
        assert not [path for path in folder.parents[1].iterdir() if not path.name.startswith(".")]
        raise ZeroDivisionError

    monkeypatch.setattr(export, "FORMATS", {"saved_model": Choice(fake_writer), "litert": Choice(breaks)})
    with pytest.raises(ZeroDivisionError):
        export.run(copied_run.replace(export_formats=("saved_model", "litert")))
    assert list((pathlib.Path(copied_run.model_dir) / "export").iterdir()) == []


def refuse_to_load(run):
    raise AssertionError("the model was loaded before the mistake was found")


def damage_metrics(config, **changes):
    file = RunFolder(config.model_dir).metrics_file
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda config: damage_metrics(config, mean=None), "metrics.json: has no 'mean'"),
        (lambda config: damage_metrics(config, class_names=[]), "metrics.json: has no 'class_names'"),
        (lambda config: os.remove(RunFolder(config.model_dir).metrics_file), "has no metrics.json; train it"),
        (lambda config: RunFolder(config.model_dir).exports.write_text(""), "export: can't be written"),
    ],
)
def test_mistakes_cost_one_line_before_the_model_is_loaded(damage, message, copied_run, monkeypatch):
    monkeypatch.setattr(build, "load_model", refuse_to_load)
    damage(copied_run)
    with pytest.raises(UserError, match=message) as raised:
        export.run(copied_run)
    assert "\n" not in str(raised.value)


def test_a_missing_package_is_named_before_any_work(copied_run, monkeypatch):
    monkeypatch.setattr(build, "load_model", refuse_to_load)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="onnx needs the package tf2onnx; install it with `pip install -r requirements"):
        export.run(copied_run.replace(export_formats=("saved_model", "onnx")))
    assert not (pathlib.Path(copied_run.model_dir) / "export").exists()


def test_settings_come_from_the_run(finished_run):
    config = finished_run(model="plain")
    parsed = parse("--mode=export", f"--model_dir={config.model_dir}", "--export_formats=litert,onnx")
    assert (parsed.model, parsed.backbone, parsed.export_formats) == ("plain", "tiny", ("litert", "onnx"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--export_formats=tflite", "--export_formats=tflite: must be of saved_model, litert, onnx"),
        ("--export_formats=", "--export_formats=: must be of"),
        ("--epochs=3", "--epochs: has no meaning with --mode=export"),
        ("--images=a.png", "--images: has no meaning with --mode=export, only with predict"),
        ("--overwrite", "--overwrite: has no meaning with --mode=export"),
        ("--mode=train --export_formats=onnx", "--export_formats=onnx: has no meaning with --mode=train"),
        ("--model_dir=", "--mode=export: needs --model_dir"),
        ("--model_dir=/nonexistent", "--model_dir=/nonexistent: not a run folder"),
    ],
)
def test_flags_that_do_not_fit(flags, message, finished_run):
    with pytest.raises(UserError) as raised:
        parse("--mode=export", f"--model_dir={finished_run().model_dir}", *flags.split())
    assert message in str(raised.value)


JAX = """
import sys
from bbn_tf.models.bbn import build_bbn
import tests.tiny
build_bbn("tiny", (32, 32, 3), 10).save(sys.argv[1])
"""


def test_a_model_trained_on_jax_is_exported_on_tensorflow(copied_run):
    pytest.importorskip("jax")
    run = RunFolder(copied_run.model_dir)
    before = build.load_model(run).get_weights()
    process = forked.run("-c", JAX, run.model_file, **tiny.JAX)
    assert process.returncode == 0, process.stderr
    after = build.load_model(run).get_weights()
    assert any(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    (folder,) = export.run(copied_run)
    output = tf.saved_model.load(folder).signatures["serving_default"](image=tf.constant(IMAGES))
    expected = expected_probabilities(copied_run, IMAGES)
    np.testing.assert_allclose(output["probabilities"], expected, atol=TOLERANCE)


def test_the_jax_backend_is_refused(copied_run, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(build, "load_model", refuse_to_load)
    with pytest.raises(UserError, match="KERAS_BACKEND=jax: --mode=export needs the TensorFlow backend"):
        export.run(copied_run)


@pytest.mark.parametrize(
    ("facts", "crops"),
    [
        ({"settings": {}, "figures": {"cropped": True}}, True),
        ({"settings": {"image_size": "32"}, "figures": {"cropped": False}}, False),
        ({"settings": {"image_size": "32"}, "figures": {}}, True),  # of an older version
        ({"settings": {}, "figures": {}}, False),
    ],
)
def test_serving_crops_where_the_evaluation_did(facts, crops):
    model = types.SimpleNamespace(input_shape=(None, 32, 32, 3))
    assert export.Serving(types.SimpleNamespace(inference=lambda: model), facts).central is crops
