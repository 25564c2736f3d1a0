"""What a second stage makes a classifier of: the frozen one changed, or a new one.

Decoupled training of Kang et al. (arXiv:1910.09217) and post-hoc logit adjustment of Menon et al. (arXiv:2007.07314).
A row's function maps (kernel float [D, C], bias float [C], class_counts int [C]) to the kernel and the bias.
"""

import numpy as np

from bbn_tf.choices import SECOND_STAGE, Choice, Setting, Table, at_least
from bbn_tf.training.losses import LOGIT_ADJUSTMENT


def unchanged(kernel, bias, class_counts):
    """The kernel and the bias as they are."""
    return kernel, bias


def tau_normalised(kernel, bias, class_counts, tau):
    """w_i / |w_i|^tau, and no bias (Eq. 4 of arXiv:1910.09217 and its code)."""
    norms = np.linalg.norm(kernel, axis=0)
    return kernel / np.maximum(norms, np.finfo(np.float32).tiny) ** tau, np.zeros_like(bias)


def logit_adjusted(kernel, bias, class_counts, logit_adjustment):
    """b_i - tau log(n_i / N) (Eq. 9 of arXiv:2007.07314)."""
    return kernel, bias - logit_adjustment * np.log(class_counts / np.sum(class_counts))


TAU = Setting("tau", 1.0, "tau-normalisation: the exponent.", rule=at_least(0))
NO_TRAINING = {"epochs": 0, "lr_schedule": "steps", "lr_milestones": (), "warmup_epochs": 0}
# Traits: `keeps`, it needs the kernel of the first stage; `scaled`, it learns a scale for each class's logit;
# `untrained`, nothing is learned.
CLASSIFIERS = Table(
    "classifier",
    retrain=Choice(unchanged),
    lws=Choice(unchanged, keeps=True, scaled=True),
    tau_norm=Choice(tau_normalised, TAU, fixes=NO_TRAINING, keeps=True, untrained=True),
    logit_adjusted=Choice(logit_adjusted, LOGIT_ADJUSTMENT, fixes=NO_TRAINING, keeps=True, untrained=True),
)
BRANCH = Setting(
    "branch",
    None,
    "Second stage of a BBN: whose features, of one branch or of both (if not given).",
    kind=str,
    names=("both", "conventional", "rebalancing"),
    part=SECOND_STAGE,
)
CLASSIFIER_SETTING = Setting(
    "classifier",
    "retrain",
    "Second stage: retrain from scratch, lws (a learned scale for each class), tau_norm, logit_adjusted (post hoc).",
    table=CLASSIFIERS,
    part=SECOND_STAGE,
)
