"""Keras callbacks, one duty each; all state is derived from the epoch, so that a resumed run is exact.

On JAX, Keras waits for every step's loss before it starts the next one, unless each callback that looks at it is
`async_safe`: then threads wait, and call `on_train_batch_end`, in any order but before `on_epoch_end`.
"""

import math
import time

import keras
import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.training import checkpoints


class ScheduleVariable(keras.callbacks.Callback):
    """Sets a variable once an epoch by a function of the epoch, and shows and logs its value.

    Args:
        name: under which the value is logged.
        schedule: epoch (from 0) -> float.
        variable: model -> the variable to assign; on TensorFlow its `.value` is a tf.Variable.
    """

    async_safe = True

    def __init__(self, name, schedule, variable):
        super().__init__()
        self.name, self.schedule, self.variable = name, schedule, variable

    def on_epoch_begin(self, epoch, logs=None):
        self.value = float(self.schedule(epoch))
        self.variable(self.model).assign(self.value)

    def on_train_batch_end(self, batch, logs=None):
        logs[self.name] = self.value

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.value


class DrawAlpha(keras.callbacks.Callback):
    """Draws alpha anew every step, for an adaptor that is a distribution; logs the epoch's mean.

    Args:
        adaptor: (progress, numpy Generator) -> alpha.
        seed: the draws depend on (seed, epoch, step) only.
    """

    def __init__(self, adaptor, seed):
        super().__init__()
        self.adaptor, self.seed = adaptor, seed

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.drawn = epoch, []

    def on_train_batch_begin(self, batch, logs=None):
        rng = np.random.default_rng((self.seed, self.epoch, batch))
        self.drawn.append(self.adaptor(self.epoch / self.params["epochs"], rng))
        self.model.alpha.assign(self.drawn[-1])

    def on_train_batch_end(self, batch, logs=None):
        logs["alpha"] = self.drawn[-1]

    def on_epoch_end(self, epoch, logs=None):
        logs["alpha"] = float(np.mean(self.drawn))


class DeferClassWeights(keras.callbacks.Callback):
    """Sets the loss's class weights from an epoch on, and weights of 1 before ("DRW" of arXiv:1906.07413).

    Args:
        weights: float [C].
        first_epoch: from 0.
    """

    def __init__(self, weights, first_epoch):
        super().__init__()
        self.weights, self.first_epoch = np.asarray(weights, np.float32), first_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.model.class_weights.assign(self.weights if epoch >= self.first_epoch else np.ones_like(self.weights))


class DrawMixup(keras.callbacks.Callback):
    """Draws anew every step how much is mixed, and where: share ~ Beta(concentration, concentration).

    Args:
        concentration: the Beta distribution's parameter.
        anywhere: mix at one of the model's `Mixup` layers, each as likely (manifold mixup); else the input.
        seed: the draws depend on (seed, epoch, step) only.
    """

    def __init__(self, concentration, anywhere, seed):
        super().__init__()
        self.concentration, self.anywhere, self.seed = concentration, anywhere, seed

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        rng = np.random.default_rng((self.seed, self.epoch, batch))
        places = self.model.mixup_layers
        chosen = rng.integers(len(places)) if self.anywhere else 0
        share = rng.beta(self.concentration, self.concentration)
        for place, layer in enumerate(places):
            layer.share.assign(share if place == chosen else 1.0)


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run, naming epoch and step, as soon as the loss is not a number or infinite."""

    async_safe = True

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.seen, self.diverged = epoch, set(), {}

    def on_train_batch_end(self, batch, logs=None):
        self.seen.add(batch)
        if not math.isfinite(logs["loss"]):
            self.diverged[batch] = logs["loss"]
        if not self.diverged:
            return
        first = min(self.diverged)
        if self.seen.issuperset(range(first)):  # else an earlier step is still to come, and raises
            raise UserError(
                f"loss is {self.diverged[first]} in epoch {self.epoch + 1}, step {first + 1}: training diverged; "
                "a lower --learning_rate or a longer --warmup_epochs may help (start anew with --overwrite)"
            )


class Evaluate(keras.callbacks.Callback):
    """Adds the errors on the evaluation images to the logs every `every` epochs, and after the last.

    Args:
        evaluate: () -> dict; its single figures are logged.
        every: epochs; 0 for after the last only.
    """

    def __init__(self, evaluate, every):
        super().__init__()
        self.evaluate, self.every = evaluate, every

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        if done == self.params["epochs"] or (self.every and done % self.every == 0):
            figures = self.evaluate()
            logs.update({name: value for name, value in figures.items() if isinstance(value, float)})


class WriteHistory(keras.callbacks.Callback):
    """Hands over the epoch's logs, with the seconds the epoch took, as a row of history.csv.

    Args:
        append: row (dict) -> None, see `RunFolder.append_history`.
    """

    def __init__(self, append):
        super().__init__()
        self.append = append

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.append({"epoch": epoch + 1, **logs, "seconds": round(time.perf_counter() - self.start, 2)})


class Checkpoint(keras.callbacks.Callback):
    """Saves the weights with the optimizer's state after every epoch.

    Args:
        save: (epochs done, write: path -> None) -> None, see `RunFolder.save_checkpoint`.
    """

    def __init__(self, save):
        super().__init__()
        self.save = save

    def on_epoch_end(self, epoch, logs=None):
        self.save(epoch + 1, lambda path: checkpoints.save(self.model, path))
