"""Mixup by name: which layers mix, and which images."""

from bbn_tf.choices import Choice, Setting, Table, above
from bbn_tf.data.samplers import SAMPLERS

CONCENTRATION = Setting("mixup_concentration", 1.0, "Mixup: a, if the share follows Beta(a, a).", rule=above(0))


def _mixed_with_uniform(value, values):
    if value is None or values["sampler"] == "uniform":
        return None
    return f"needs --sampler=uniform, received --sampler={values['sampler']}"


def even_batch(value, values):
    """Rule of `mixup`: each image needs a partner; with a second stream there are two of everything."""
    if value == "none" or values["mixup_sampler"] or values["global_batch_size"] % 2 == 0:
        return None
    return f"--global_batch_size={values['global_batch_size']}: mixup needs an even number"


MIXUP_SAMPLER = Setting(
    "mixup_sampler",
    None,
    "Mixup: class sampler of a second stream to mix with the uniform one; if not given, the images of one stream are "
    "mixed.",
    table=SAMPLERS,
    rule=_mixed_with_uniform,
)
# Trait `anywhere`: every step draws the place: the input, or the output of the trunk's first or second stage.
MIXUP = Table(
    "mixup",
    none=Choice(),
    input=Choice(None, CONCENTRATION, MIXUP_SAMPLER, mixes=True),
    manifold=Choice(None, CONCENTRATION.with_default(2.0), MIXUP_SAMPLER, mixes=True, anywhere=True),
)
