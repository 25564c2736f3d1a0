"""Mixup: what is mixed, and with what."""

from bbn_tf.choices import Choice, Setting, Table, above
from bbn_tf.data.samplers import SAMPLERS

CONCENTRATION = Setting("mixup_concentration", 1.0, "Mixup: a of the share's distribution Beta(a, a).", rule=above(0))


def _mixed_with_uniform(value, values):
    if value is None or values["sampler"] == "uniform":
        return None
    return f"mixes with the uniform stream, not --sampler={values['sampler']}"


MIXUP_SAMPLER = Setting(
    "mixup_sampler",
    None,
    "Mixup: mix images of the uniform stream with those of a second one, drawn by this class sampler "
    "(if not given, among themselves).",
    table=SAMPLERS,
    rule=_mixed_with_uniform,
)
# Trait `anywhere`: also behind the first or second stage of the trunk, drawn every step.
MIXUP = Table(
    "mixup",
    none=Choice(),
    input=Choice(None, CONCENTRATION, MIXUP_SAMPLER, mixes=True),
    manifold=Choice(None, CONCENTRATION.with_default(2.0), MIXUP_SAMPLER, mixes=True, anywhere=True),
)
