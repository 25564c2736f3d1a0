"""A smaller learning rate for the trunk than for branches and classifier."""

import keras
from keras import ops


class TrunkRate:
    """Mixin for a Keras optimizer: the variables given to `mark_trunk` have a part of the learning rate.

    Keras's `weight_decay`, which the rate multiplies, follows it.  Comes before the optimizer's class; an optimizer
    with an `update_step` of its own calls `rate_of` there.
    """

    _trunk, trunk_lr_factor = frozenset(), 1.0

    def mark_trunk(self, variables, factor):
        """Names the trunk's variables, after `build`.

        Args:
            variables: list of `keras.Variable`, of those that the optimizer was built with.
            factor: the trunk's rate over that of all others; at least 0.
        """
        self._trunk = frozenset(self._get_variable_index(variable) for variable in variables)
        self.trunk_lr_factor = factor

    def rate_of(self, variable, learning_rate):
        """The learning rate of one variable."""
        return learning_rate * self.trunk_lr_factor if self._is_trunk(variable) else learning_rate

    def _is_trunk(self, variable):
        return bool(self._trunk) and self._get_variable_index(variable) in self._trunk

    def update_step(self, gradient, variable, learning_rate):
        rate = self.rate_of(variable, learning_rate)
        if self.weight_decay is not None and self._use_weight_decay(variable):
            decay = ops.cast(self.weight_decay * rate, variable.dtype)
            self.assign_sub(variable, decay * variable)
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Nothing: Keras would decay all variables at one rate; `update_step` does it at each one's own."""


@keras.saving.register_keras_serializable(package="bbn_tf")
class AdamW(TrunkRate, keras.optimizers.AdamW):
    """Keras's AdamW (arXiv:1711.05101) that decays kernels only; see `TrunkRate`."""

    def _use_weight_decay(self, variable):
        return len(variable.shape) > 1  # biases, BatchNorm's variables and scales have one dimension
