"""Learning rate by epoch."""

import bisect


def warmup_steps(epoch, *, learning_rate, warmup_epochs, milestones, factor):
    """Linear warm-up from a third, then a step at every milestone, as the published code counts.

    lr(e) = learning_rate * w(e) * factor^(milestones passed), w(e) = (1 - e/E) / 3 + e/E for e < E and 1
    after, E the warm-up's epochs and e the epoch from 0; milestone m acts from epoch e = m on.

        >>> warmup_steps(160, learning_rate=0.1, warmup_epochs=5, milestones=(120, 160), factor=0.01)
        1e-05

    Args:
        epoch: int, from 0.
        learning_rate: the base rate.
        warmup_epochs: E, 0 for none.
        milestones: epochs, ascending.
        factor: what each milestone multiplies by.

    Returns:
        float.
    """
    warmup = 1.0
    if epoch < warmup_epochs:
        warmup = (1 - epoch / warmup_epochs) / 3 + epoch / warmup_epochs
    return learning_rate * warmup * factor ** bisect.bisect_right(milestones, epoch)
