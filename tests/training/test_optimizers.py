import keras
import numpy as np
import pytest

from bbn_tf.config import Config
from bbn_tf.modes import build
from bbn_tf.training.sgd import SGD


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.9, False), (0.0, False)])
def test_equals_pytorchs_rule(momentum, nesterov):
    """PyTorch's update written out in float64, with a learning rate that falls by 100 on the way."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=5)
    variable = keras.Variable(weight, dtype="float32")
    optimizer = SGD(0.1, coupled_weight_decay=0.01, momentum=momentum, nesterov=nesterov)
    buffer = np.zeros(5)
    for rate in (0.1, 0.1, 0.001, 0.001):
        gradient = rng.normal(size=5)
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        decayed = gradient + 0.01 * weight
        buffer = momentum * buffer + decayed
        weight = weight - rate * (decayed + momentum * buffer if nesterov else buffer)
        np.testing.assert_allclose(variable.numpy() if hasattr(variable, "numpy") else variable, weight, rtol=1e-5)


def test_config_survives_saving():
    optimizer = SGD(0.1, coupled_weight_decay=2e-4, momentum=0.9, nesterov=True)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(again, SGD)
    assert again.get_config() == optimizer.get_config()


def test_adamw_by_hand():
    """Decoupled decay of the kernel, none of bias, BatchNorm and scales, which have one dimension each."""
    optimizer = build.optimizer(Config(optimizer="adamw", learning_rate=0.01, weight_decay=0.1), None)
    names = ("kernel", "bias", "gamma", "beta", "scales", "variable_36")
    variables = [keras.Variable([[1.0, -2.0]] if name == "kernel" else [1.0, -2.0], name=name) for name in names]
    optimizer.build(variables)
    optimizer.apply([keras.ops.full(variable.shape, 0.5) for variable in variables])
    step = 0.01 * 0.5 / (0.5 + 1e-7)  # m / sqrt(v) is the gradient's sign in the first step
    for name, variable in zip(names, variables, strict=True):
        decay = 0.01 * 0.1 * np.array([1, -2]) if name == "kernel" else 0
        expected = np.array([1, -2]) - decay - step
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable).ravel(), expected, rtol=1e-5)


def test_each_optimizer_has_defaults_of_its_own():
    sgd, adamw = Config(), Config(optimizer="adamw")
    assert (sgd.learning_rate, sgd.weight_decay, sgd.momentum, sgd.nesterov) == (0.1, 2e-4, 0.9, True)
    assert (adamw.learning_rate, adamw.weight_decay, adamw.momentum, adamw.nesterov) == (1e-3, 0.05, None, None)
