"""Optimizers; their settings and defaults."""

from bbn_tf.choices import Choice, Setting, Table, above, at_least, imported


def sgd(learning_rate, *, momentum, nesterov, weight_decay):
    """`bbn_tf.training.sgd.SGD`; the decay is of every variable and part of the gradient, as in PyTorch."""
    build = imported("bbn_tf.training.sgd:SGD")
    return build(learning_rate, coupled_weight_decay=weight_decay, momentum=momentum, nesterov=nesterov)


def adamw(learning_rate, *, weight_decay):
    """Keras's AdamW with its betas (arXiv:1711.05101), see `trunk_rate`; biases, BatchNorm and scales are not decayed.

    Args:
        learning_rate: float.
        weight_decay: of kernels; decoupled: a step takes learning_rate * weight_decay * w.
    """
    return imported("bbn_tf.training.trunk_rate:AdamW")(learning_rate, weight_decay=weight_decay)


def _nesterov(value, values):
    return None if not value or values["momentum"] > 0 else "needs --momentum above 0"


LEARNING_RATE = Setting("learning_rate", 0.1, "Base learning rate.", rule=above(0), rescaled=True)
WEIGHT_DECAY = Setting(
    "weight_decay",
    2e-4,
    "SGD: L2 penalty's factor, of all weights. AdamW: of kernels, decoupled.",
    rule=at_least(0),
    rescaled=True,
)
MOMENTUM = Setting("momentum", 0.9, "SGD's momentum.", rule=at_least(0, below=1))
NESTEROV = Setting("nesterov", True, "Nesterov momentum.", rule=_nesterov)
OPTIMIZERS = Table(
    "optimizer",
    sgd=Choice(sgd, LEARNING_RATE, WEIGHT_DECAY, MOMENTUM, NESTEROV),
    adamw=Choice(adamw, LEARNING_RATE.with_default(1e-3), WEIGHT_DECAY.with_default(0.05)),
)
