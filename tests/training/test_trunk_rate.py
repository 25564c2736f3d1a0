"""The trunk's part of the learning rate, worked out by hand, and a frozen trunk."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.training.sgd import SGD
from bbn_tf.training.trunk_rate import AdamW

RNG = np.random.default_rng(0)
WEIGHTS = np.array([[0.5, -2.0]], "float32")  # of two dimensions, as kernels have, which alone AdamW decays
GRADIENT = np.array([[1.0, -3.0]], "float32")


def step(optimizer, factor):
    """The weights of (a trunk's, another's) variable after one step of rate 0.1."""
    other, trunk = (keras.Variable(WEIGHTS) for _ in range(2))
    optimizer.build([other, trunk])
    optimizer.mark_trunk([trunk], factor)
    optimizer.apply([keras.ops.convert_to_tensor(GRADIENT)] * 2, [other, trunk])
    return keras.ops.convert_to_numpy(trunk), keras.ops.convert_to_numpy(other)


@pytest.mark.parametrize("factor", [0.2, 0.0])
def test_sgd(factor):
    """w - 0.1 f (g + 0.5 w), 0.5 the decay."""
    weights = step(SGD(0.1, coupled_weight_decay=0.5), factor)
    for value, rate in zip(weights, (0.1 * factor, 0.1), strict=True):
        np.testing.assert_allclose(value, WEIGHTS - rate * (GRADIENT + 0.5 * WEIGHTS), rtol=1e-6)


@pytest.mark.parametrize("factor", [0.2, 0.0])
def test_adamw(factor):
    """The first step goes the whole rate in the gradient's direction; the decay takes 0.5 f 0.1 of the weights."""
    optimizer = AdamW(0.1, weight_decay=0.5)
    weights = step(optimizer, factor)
    for value, rate in zip(weights, (0.1 * factor, 0.1), strict=True):
        np.testing.assert_allclose(value, WEIGHTS * (1 - 0.5 * rate) - rate * np.sign(GRADIENT), rtol=1e-5)
    assert optimizer.weight_decay == 0.5


@pytest.mark.parametrize("optimizer", [SGD(0.1, coupled_weight_decay=0.5, momentum=0.9), AdamW(0.1, weight_decay=0.5)])
def test_without_a_mark_the_rate_is_one(optimizer):
    again = type(optimizer).from_config(optimizer.get_config())
    variable, other = keras.Variable(WEIGHTS), keras.Variable(WEIGHTS)
    optimizer.apply([keras.ops.convert_to_tensor(GRADIENT)], [variable])
    assert [w.tolist() for w in step(again, 1.0)] == [keras.ops.convert_to_numpy(variable).tolist()] * 2
    assert keras.ops.convert_to_numpy(other).tolist() == WEIGHTS.tolist()


@pytest.mark.parametrize("make", [lambda: SGD(0.1, coupled_weight_decay=0.5), lambda: AdamW(0.1, weight_decay=0.5)])
def test_replicas_do_as_one_device(make):
    def trained(strategy):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="trunk")
            model = keras.Sequential([keras.Input((4,)), trunk, keras.layers.Dense(2)])
            optimizer = make()
            model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            optimizer.build(model.trainable_variables)
            optimizer.mark_trunk(trunk.trainable_variables, 0.1)
            model.fit(images, np.array([0, 1, 1, 0]), batch_size=4, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    images = RNG.normal(size=(4, 4)).astype("float32")
    devices = [f"CPU:{i}" for i in range(2)]
    alone, together = (trained(tf.distribute.MirroredStrategy(devices[:count])) for count in (1, 2))
    for one, two in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def filter_gradients(model, images):
    """How many convolutions have a gradient of their kernel in the graph of a training step."""

    @tf.function
    def loss_gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True))
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    graph = loss_gradient.get_concrete_function(images).graph
    return sum(operation.type == "Conv2DBackpropFilter" for operation in graph.get_operations())


@pytest.mark.parametrize(("build", "free", "frozen"), [(build_bbn, 2 * 5 + 4, 4), (build_plain, 7, 2)])
def test_a_frozen_trunk_has_no_gradient_and_keeps_its_statistics(build, free, frozen):
    """ResNet-8: 7 convolutions, 2 of them in the last block; BBN passes its trunk twice."""
    model = build("resnet8", (32, 32, 3), 10)
    images = tf.constant(RNG.normal(size=(2, 32, 32, 3)), tf.float32)
    inputs = (images, images) if build is build_bbn else images
    assert filter_gradients(model, inputs) == free
    model.get_layer("trunk").trainable = False
    assert filter_gradients(model, inputs) == frozen
    trunk = model.get_layer("trunk")
    before = trunk.get_weights()
    model(inputs, training=True)
    assert all((a == b).all() for a, b in zip(before, trunk.get_weights(), strict=True))
