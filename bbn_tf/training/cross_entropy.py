"""The one loss class: cross-entropy with offsets, margins and a focus; `bbn_tf.training.losses` chooses them."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bbn_tf")
class AdjustedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of labels y int [B] and logits z float [B, C], with the changes of long-tailed losses.

        z'_j = z_j + offset_j - margin_j [j = y],  E = -log softmax(z')_y,  l = (1 - e^-E)^gamma E

    The mean over the batch uses the sample weights w_b if there are any: sum_b w_b l_b / sum_b w_b.  PyTorch's weighted
    cross-entropy, and therefore the published code, does the same.

    Args:
        offsets: list of C floats, added to the logits of every image; None for no offsets.
        margins: list of C floats, subtracted from the logit of the label; None for no margins.
        gamma: float, at least 0, exponent of the focal loss; 0 for plain cross-entropy.
    """

    def __init__(self, offsets=None, margins=None, gamma=0.0, reduction="mean_with_sample_weight", **kwargs):
        super().__init__(reduction=reduction, **kwargs)
        self.offsets, self.margins, self.gamma = offsets, margins, gamma

    def call(self, y_true, y_pred):
        if self.offsets is not None:
            y_pred = y_pred + ops.convert_to_tensor(self.offsets, y_pred.dtype)
        if self.margins is not None:
            margins = ops.convert_to_tensor(self.margins, y_pred.dtype)
            y_pred = y_pred - margins * ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        entropy = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        if not self.gamma:
            return entropy
        # For gamma < 1 the power has an infinite slope at 0, and very confident predictions reach 0: hence the floor.
        return ops.maximum(-ops.expm1(-entropy), 1e-7) ** self.gamma * entropy

    def get_config(self):
        own = ("offsets", "margins", "gamma")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
