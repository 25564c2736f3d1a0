import keras
import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.models import backbones
from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.plain import build_plain

SHAPE = (32, 32, 3)
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, *SHAPE)).astype("float32")
LABELS = RNG.integers(0, 10, (2, 4))


@pytest.mark.parametrize(
    ("build", "num_classes", "parameters"),
    [(build_plain, 10, 464_154), (build_plain, 100, 470_004), (build_bbn, 10, 538_778), (build_bbn, 100, 550_388)],
)
def test_parameters_of_resnet32(build, num_classes, parameters):
    model = build("resnet32", SHAPE, num_classes)
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == parameters


@pytest.mark.parametrize(
    "name", [name for name, row in backbones.BACKBONES.items() if name.startswith("resnet") and not row().large_images]
)
@pytest.mark.parametrize("build", [build_plain, build_bbn])
def test_every_backbone_of_cifar(name, build):
    """Depth by its name: convolutions on the path plus the classifier; two last blocks for BBN."""
    model = build(name, SHAPE, 10)
    layers = [layer for part in model.layers if isinstance(part, keras.Model) for layer in part.layers]
    convolutions = sum(isinstance(layer, keras.layers.Conv2D) for layer in layers)
    extra = 2 if build is build_bbn else 0
    assert convolutions + 1 - extra == int(name.removeprefix("resnet"))
    inputs = tuple(IMAGES) if extra else IMAGES[0]
    assert model(inputs).shape == (4, 10)


def test_paper_convention():
    paper, code = (build_bbn("resnet8", SHAPE, 10, name) for name in ("paper", "published_code"))
    parameters = [sum(np.prod(w.shape) for w in model.trainable_weights) for model in (paper, code)]
    assert parameters[1] - parameters[0] == 10  # the bias
    code.set_weights([*paper.get_weights()[:-1], np.zeros(10), paper.get_weights()[-1]])
    np.testing.assert_allclose(code(tuple(IMAGES)), 2 * paper(tuple(IMAGES)), rtol=1e-4, atol=1e-5)


def test_initial_weights_are_the_published_ones():
    model = build_bbn("resnet32", SHAPE, 10)
    kernel = model.get_layer("conventional_block").get_layer("block_1_conv").kernel.numpy()
    assert kernel.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)
    assert abs(kernel).max() > 3.2 * kernel.std()  # normal, not Keras's truncated one


@pytest.mark.parametrize(("alpha", "idle"), [(1.0, "rebalancing"), (0.0, "conventional")])
def test_idle_branch_gets_no_gradient(alpha, idle):
    model = build_bbn("resnet8", SHAPE, 10)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.alpha.assign(alpha)
    with tf.GradientTape() as tape:
        logits = model(tuple(IMAGES), training=True)
        loss = model.compute_loss(None, tuple(LABELS), logits)
    names = ("conventional", "rebalancing")
    variables = {
        branch: [
            *(w.value for w in model.get_layer(f"{branch}_block").trainable_weights),
            getattr(model.get_layer("classifier"), f"{branch}_kernel").value,
        ]
        for branch in names
    }
    gradients = tape.gradient(loss, variables)
    for branch in names:
        largest = [float(tf.reduce_max(tf.abs(g))) for g in gradients[branch]]
        assert all(value == 0 for value in largest) if branch == idle else all(value > 0 for value in largest)


def test_loss_is_eq_3():
    model = build_bbn("resnet8", SHAPE, 10)
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.alpha.assign(0.7)
    logits = RNG.normal(size=(4, 10)).astype("float32")
    log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
    entropies = [-np.mean(log_p[np.arange(4), y]) for y in LABELS]
    loss = model.compute_loss(None, tuple(LABELS), logits)
    assert float(loss) == pytest.approx(0.7 * entropies[0] + 0.3 * entropies[1], rel=1e-5)


def test_inference_ignores_the_alpha_weight_and_runs_the_trunk_once():
    model = build_bbn("resnet8", SHAPE, 10)
    view = model.inference()
    branches = model.inference({"conventional": 1.0, "rebalancing": 0.0})
    expected = view(IMAGES[0]).numpy()
    model.alpha.assign(0.1)
    np.testing.assert_array_equal(view(IMAGES[0]), expected)
    alone = branches(IMAGES[0])
    np.testing.assert_allclose((alone["conventional"] + alone["rebalancing"]) / 2, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model((IMAGES[0], IMAGES[0])), expected, rtol=1e-4, atol=1e-5)
    nodes = [op for op in view.operations if op.name == "trunk"]
    assert len(nodes) == 1


@pytest.mark.parametrize("build", [build_plain, build_bbn])
def test_saved_model_loads_alike(build, tmp_path):
    model = build("resnet8", SHAPE, 10)
    inputs = tuple(IMAGES) if build is build_bbn else IMAGES[0]
    model(inputs, training=True)  # moves BatchNorm's statistics
    if build is build_bbn:
        model.alpha.assign(0.25)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again) is type(model)
    np.testing.assert_array_equal(again(inputs), model(inputs))
    if build is build_bbn:
        assert float(again.alpha) == 0.25


def test_mixed_precision_computes_in_bfloat16_and_ends_in_float32():
    model = build_bbn("resnet8", SHAPE, 10, dtype="mixed_bfloat16")
    assert model.get_layer("trunk").get_layer("stem_conv").compute_dtype == "bfloat16"
    assert all(w.dtype == "float32" for w in model.weights)
    assert model(tuple(IMAGES), training=True).dtype == tf.float32
