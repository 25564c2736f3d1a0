"""The two models by name, with what only one of them can be trained with."""

from bbn_tf.choices import Choice, Setting, Table
from bbn_tf.data.samplers import SAMPLER
from bbn_tf.training.adaptors import ADAPTOR

FEATURE_CONVENTION = Setting(
    "feature_convention",
    "published_code",
    "BBN's features and classifier: published_code (times 2, a bias) or paper (Eq. 1 as written).",
    names=("published_code", "paper"),
)
# BBN's loss is Eq. 3, both of its streams and their labels have a role of their own.
EQ_3 = {"loss": "ce", "class_weights": "none", "deferred_epoch": 0, "mixup": "none"}
# Trait `paired`: trained on pairs of a uniform and a resampled stream.
MODELS = Table(
    "model",
    bbn=Choice(
        "bbn_tf.models.bbn:build_bbn",
        FEATURE_CONVENTION,
        SAMPLER.with_default("reversed"),
        ADAPTOR,
        fixes=EQ_3,
        paired=True,
    ),
    plain=Choice("bbn_tf.models.plain:build_plain", SAMPLER),
)
