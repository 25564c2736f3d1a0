"""The one loss: cross-entropy on logits that are shifted and focused as `bbn_tf.training.losses` says."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="bbn_tf")
class AdjustedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of labels int [B] and logits z float [B, C], with what long-tailed losses change of it.

        z'_j = z_j + offset_j - margin_j [j = y],  E = -log softmax(z')_y,  l = (1 - e^-E)^gamma E

    Averages over the batch, by the sample weights if there are any: sum_b w_b l_b / sum_b w_b, as PyTorch's
    weighted cross-entropy does and so the published codes.

    Args:
        offsets: list of C floats, added to every image's logits; None for none.
        margins: list of C floats, subtracted from the label's logit; None for none.
        gamma: float, at least 0, the focal loss's; 0 for none.
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
        # At gamma < 1 the power has no finite slope at 0, which the surest images reach: hence the floor.
        return ops.maximum(-ops.expm1(-entropy), 1e-7) ** self.gamma * entropy

    def get_config(self):
        own = ("offsets", "margins", "gamma")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
