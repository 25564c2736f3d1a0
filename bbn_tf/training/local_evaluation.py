"""Local evaluation: every host evaluates its own copy of the model, so that no host waits for another."""

from bbn_tf.training import hosts
from bbn_tf.training.evaluation import Evaluator


class LocalEvaluator(Evaluator):
    """`Evaluator` for a model that is distributed over several hosts; each host evaluates locally.

    Args:
        model: the distributed model.
        copy: a model with the same layers that was made inside `hosts.alone`.
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
