"""Learning-rate schedules: functions of the epoch (from 0) that give a fraction of the base rate.

Every schedule starts with the same linear warm-up, see `warmup`.
"""

import bisect
import math

from bbn_tf.choices import Choice, Setting, Table, above


def warmup(epoch, warmup_epochs, warmup_start=1 / 3):
    """w(e) = s (1 - e/E) + e/E for e < E, else 1; epochs count as in the published code.

        >>> warmup(0, warmup_epochs=5, warmup_start=0.2)
        0.2

    Args:
        epoch: e, int from 0.
        warmup_epochs: E; 0 for no warm-up.
        warmup_start: s, fraction of the rate in epoch 0.
    """
    if epoch >= warmup_epochs:
        return 1.0
    return (1 - epoch / warmup_epochs) * warmup_start + epoch / warmup_epochs


def steps(epoch, *, lr_milestones, lr_factor, epochs=None, warmup_epochs=0):
    """lr_factor^k, where k is the number of milestones m <= e; the first epoch with the new rate is e = m.

        >>> steps(160, lr_milestones=(120, 160), lr_factor=0.1)
        0.010000000000000002

    Args:
        epoch: e, int from 0.
        lr_milestones: ascending epochs.
        lr_factor: float, factor for each milestone.
        epochs, warmup_epochs: not used, other schedules need them.
    """
    return lr_factor ** bisect.bisect_right(lr_milestones, epoch)


def cosine(epoch, *, epochs, warmup_epochs=0):
    """(1 + cos(pi t)) / 2 with t = (e - E) / (T - E) after the warm-up (Eq. 5 of arXiv:1608.03983, no restarts).

        >>> cosine(100, epochs=200)
        0.5

    Args:
        epoch: e, int from 0; the rate would be 0 at e = T.
        epochs: T, total number of epochs.
        warmup_epochs: E; the value is 1 for e <= E.
    """
    progress = max(0, epoch - warmup_epochs) / max(1, epochs - warmup_epochs)
    return (1 + math.cos(math.pi * progress)) / 2


def _milestones(value, values):
    if value is None:
        return None
    if list(value) != sorted(set(value)):
        return "must be in ascending order, each once"
    return None


def _before_the_end(value, values):
    if not all(1 <= milestone < values["epochs"] for milestone in value or ()):
        return f"must be at least 1 and below --epochs={values['epochs']}"
    return None


LR_MILESTONES = Setting(
    "lr_milestones",
    (120, 160),
    "Epochs (from 0) that multiply the learning rate by --lr_factor, separated by commas; empty for none.",
    kind=tuple[int, ...],
    rule=_milestones,
    fits=_before_the_end,
)
LR_FACTOR = Setting("lr_factor", 0.01, "Factor that multiplies the learning rate at each milestone.", rule=above(0))
LR_SCHEDULES = Table("lr_schedule", steps=Choice(steps, LR_MILESTONES, LR_FACTOR), cosine=Choice(cosine))
