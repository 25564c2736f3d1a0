"""Evaluation by every host for itself, so that none has to wait for another."""

from bbn_tf.training import hosts
from bbn_tf.training.evaluation import Evaluator


class LocalEvaluator(Evaluator):
    """An `Evaluator` of a model that is distributed over several hosts, by each host for itself.

    Args:
        model: the distributed model.
        copy: one of the same build, made in `hosts.alone`.
        dataset: `ImageDataset`.
    """

    def __init__(self, model, copy, dataset):
        with hosts.alone():
            super().__init__(copy, dataset)
        self.distributed = model

    def __call__(self):
        with hosts.alone():
            self.model.set_weights(self.distributed.get_weights())
            return super().__call__()
