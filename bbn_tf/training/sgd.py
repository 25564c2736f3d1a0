"""SGD with PyTorch's update rule, which gave the published figures."""

import keras
from keras import ops

from bbn_tf.training.trunk_rate import TrunkRate


@keras.saving.register_keras_serializable(package="bbn_tf")
class SGD(TrunkRate, keras.optimizers.SGD):
    """Momentum SGD with coupled weight decay and the learning rate outside the momentum buffer.

        g <- g + coupled_weight_decay * w;  m <- momentum * m + g
        w <- w - lr * (g + momentum * m)  with Nesterov,  w - lr * m  without

    `keras.optimizers.SGD` decays weights outside the gradient, and it multiplies the gradient by the learning rate
    before the buffer: after a change of the rate, old gradients still move the weights at the old rate.  With lr = 0.1
    both differ clearly from this method.

    Args:
        learning_rate: float or schedule.
        coupled_weight_decay: float; this times w is added to the gradient of EVERY trainable variable, including
            BatchNorm and biases.
        **kwargs: further arguments of `keras.optimizers.SGD`.
    """

    def __init__(self, learning_rate=0.01, coupled_weight_decay=0.0, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient, variable, learning_rate):
        lr = ops.cast(self.rate_of(variable, learning_rate), variable.dtype)
        gradient = ops.cast(gradient, variable.dtype) + self.coupled_weight_decay * variable
        if self.momentum:
            buffer = self.momentums[self._get_variable_index(variable)]
            velocity = self.momentum * buffer + gradient
            self.assign(buffer, velocity)
            gradient = gradient + self.momentum * velocity if self.nesterov else velocity
        self.assign_sub(variable, lr * gradient)

    def get_config(self):
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}
