"""Training from weights that exist: what of the trunk is trained, and what a backbone can't be trained with."""

from bbn_tf.choices import Choice, Setting, Table, above
from bbn_tf.models.backbones import BACKBONES
from bbn_tf.models.keras_table import IMAGENET
from bbn_tf.training.mixing import MIXUP

TRUNK_LR_FACTOR = Setting(
    "trunk_lr_factor", 1.0, "The trunk's learning rate, over that of branches and classifier.", rule=above(0)
)
# Trait `frozen`: the trunk stays as it is, the running statistics of its BatchNorm included.
FREEZE = Table("freeze", none=Choice(None, TRUNK_LR_FACTOR), trunk=Choice(frozen=True))


def weights_exist(value, values):
    """What init_from needs."""
    if value != IMAGENET or BACKBONES[values["backbone"]].published:
        return None
    return f"no weights are published of --backbone={values['backbone']}, only of keras:... ones"


def something_to_keep(value, values):
    """What freeze needs."""
    random = FREEZE[value].frozen and values["init_from"] is None and not BACKBONES[values["backbone"]].trained
    return "needs --init_from: a trunk of random weights would stay one" if random else None


def mixes_where_it_can(value, values):
    """Rule for mixup."""
    if not (MIXUP[value].anywhere and BACKBONES[values["backbone"]].undivided):
        return None
    return f"has no place in the trunk of --backbone={values['backbone']}; must be none or input"


def has_batch_norm(value, values):
    """Rule for sync_batch_norm."""
    missing = value and BACKBONES[values["backbone"]].no_batch_norm
    return f"there is no BatchNorm in --backbone={values['backbone']}" if missing else None
