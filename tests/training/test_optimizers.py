import keras
import numpy as np
import pytest

from bbn_tf.training.optimizers import SGD


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
