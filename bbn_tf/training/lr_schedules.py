"""Learning rate by epoch, as a fraction of the base rate; the epoch counts from 0.

Every schedule begins with the same linear warm-up: see `warmup`.
"""

import bisect
import math

from bbn_tf.choices import Choice, Setting, Table, above


def warmup(epoch, warmup_epochs, warmup_start=1 / 3):
    """w(e) = s (1 - e/E) + e/E for e < E and 1 after, as the published code counts.

        >>> warmup(0, warmup_epochs=5, warmup_start=0.2)
        0.2

    Args:
        epoch: e, int from 0.
        warmup_epochs: E, 0 for none.
        warmup_start: s, fraction of the rate that epoch 0 has.
    """
    if epoch >= warmup_epochs:
        return 1.0
    return (1 - epoch / warmup_epochs) * warmup_start + epoch / warmup_epochs


def steps(epoch, *, lr_milestones, lr_factor, epochs=None, warmup_epochs=0):
    """lr_factor^(number of milestones passed); milestone m acts from epoch e = m on.

        >>> steps(160, lr_milestones=(120, 160), lr_factor=0.1)
        0.010000000000000002

    Args:
        epoch: int, from 0.
        lr_milestones: epochs, ascending.
        lr_factor: float, what each milestone multiplies by.
        epochs, warmup_epochs: unused, other schedules need them.
    """
    return lr_factor ** bisect.bisect_right(lr_milestones, epoch)


def cosine(epoch, *, epochs, warmup_epochs=0):
    """(1 + cos(pi t)) / 2, t = (e - E) / (T - E) after the warm-up (arXiv:1608.03983, Eq. 5, without restarts).

        >>> cosine(100, epochs=200)
        0.5

    Args:
        epoch: e, int from 0; the rate would be 0 at e = T.
        epochs: T.
        warmup_epochs: E; up to then 1.
    """
    progress = max(0, epoch - warmup_epochs) / max(1, epochs - warmup_epochs)
    return (1 + math.cos(math.pi * progress)) / 2


def _milestones(value, values):
    if value is None:
        return None
    if list(value) != sorted(set(value)):
        return "must ascend"
    if not all(1 <= milestone < values["epochs"] for milestone in value):
        return f"must be at least 1 and below --epochs={values['epochs']}"
    return None


LR_MILESTONES = Setting(
    "lr_milestones",
    (120, 160),
    "Epochs (from 0), separated by commas, from which on the rate is multiplied by --lr_factor; empty for none.",
    kind=tuple[int, ...],
    rule=_milestones,
)
LR_FACTOR = Setting("lr_factor", 0.01, "What each milestone multiplies the learning rate by.", rule=above(0))
LR_SCHEDULES = Table("lr_schedule", steps=Choice(steps, LR_MILESTONES, LR_FACTOR), cosine=Choice(cosine))
