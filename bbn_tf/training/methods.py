"""The two models by name, each with the settings that only it can use in training."""

from bbn_tf.choices import Choice, Setting, Table
from bbn_tf.data.samplers import SAMPLER
from bbn_tf.models.features import FEATURE_CONVENTIONS
from bbn_tf.training.adaptors import ADAPTOR

FEATURE_CONVENTION = Setting(
    "feature_convention",
    "published_code",
    "BBN's features and classifier: published_code (factor 2 and a bias) or paper (exactly Eq. 1).",
    names=tuple(FEATURE_CONVENTIONS),
)
# BBN's loss is Eq. 3; its two streams have fixed roles, so other losses, class weights and mixup don't apply.
EQ_3 = {"loss": "ce", "class_weights": "none", "deferred_epoch": 0, "mixup": "none"}
# Trait `paired`: it trains on pairs of images, one from a uniform and one from a resampled stream.
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
