"""Keras callbacks with one duty each; their state depends only on the epoch, so a resumed run is exact.

On JAX, Keras waits for the loss of every step before it starts the next step, unless every callback that reads the loss
is `async_safe`.  In that case threads wait for the loss and call `on_train_batch_end`: in any order, but before
`on_epoch_end`.
"""

import math
import time
from collections.abc import Callable

import keras
import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.training import checkpoints
from bbn_tf.training.adaptors import ADAPTORS


class ScheduleVariable(keras.callbacks.Callback):
    """Sets a variable once per epoch to the value of a schedule; shows and logs this value.

    Args:
        name: name of the value in the logs.
        schedule: function epoch (from 0) -> float.
        variable: function model -> variable to set; on TensorFlow the variable's `.value` is a tf.Variable.
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


class CumulativeLearning(ScheduleVariable):
    """Sets BBN's alpha, the weight of the conventional branch, once per epoch (section 4.3 of arXiv:1912.02413).

    Without it alpha stays 1, and the re-balancing branch learns nothing.

    Args:
        epochs: Tmax, after which alpha stays at its last value; None for the epochs that `fit` is given.
        adaptor: name of an adaptor with one alpha per epoch, or a function progress T / Tmax in [0, 1] -> alpha.

    Raises:
        UserError: there is no such adaptor; or, when training begins, an epoch would have no end.
    """

    def __init__(self, epochs: int | None = None, adaptor: str | Callable[[float], float] = "parabolic_decay") -> None:
        names = [name for name, row in ADAPTORS.items() if not row.drawn_every_step]
        if not callable(adaptor) and adaptor not in names:
            raise UserError(f"adaptor={adaptor!r}: must be a function, or one of {', '.join(names)}")
        super().__init__("alpha", self.alpha_at, lambda model: model.alpha)
        self.epochs, self.adaptor = epochs, adaptor if callable(adaptor) else ADAPTORS[adaptor]

    def on_train_begin(self, logs=None):
        if self.params["steps"] is None:  # Keras does not know how many batches the dataset has
            raise UserError("fit: needs steps_per_epoch=data.steps_per_epoch, or its first epoch would have no end")

    def alpha_at(self, epoch: int) -> float:
        """alpha of an epoch, from 0."""
        return self.adaptor(min(1.0, epoch / (self.epochs or self.params["epochs"])))


class DrawAlpha(keras.callbacks.Callback):
    """Draws a new alpha at every step, for an adaptor that is a distribution; logs the mean of the epoch.

    Args:
        adaptor: function (progress, numpy Generator) -> alpha.
        seed: int; the draws depend only on (seed, epoch, step).
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
    """Sets all class weights of the loss to 1 at first, and to `weights` later ("DRW" in arXiv:1906.07413).

    Args:
        weights: float [C].
        first_epoch: first epoch (from 0) with `weights`.
    """

    def __init__(self, weights, first_epoch):
        super().__init__()
        self.weights, self.first_epoch = np.asarray(weights, np.float32), first_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.model.class_weights.assign(self.weights if epoch >= self.first_epoch else np.ones_like(self.weights))


class DrawMixup(keras.callbacks.Callback):
    """Draws mixup's share ~ Beta(concentration, concentration) and the layer that mixes, at every step.

    Args:
        concentration: parameter of the Beta distribution.
        anywhere: if True, one of the model's `Mixup` layers mixes, with equal probabilities (manifold mixup); if False,
            the input is mixed.
        seed: int; the draws depend only on (seed, epoch, step).
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
    """Ends the run when the loss is NaN or infinite; the message names the epoch and the step."""

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
        if self.seen.issuperset(range(first)):  # an earlier step that arrives later must be the one that raises
            raise UserError(
                f"loss is {self.diverged[first]} in epoch {self.epoch + 1}, step {first + 1}: training diverged; "
                "a lower --learning_rate or a longer --warmup_epochs may help (start again with --overwrite)"
            )


class RunEvaluator(keras.callbacks.Callback):
    """Adds the errors on the evaluation images to the logs after every `every` epochs and after the last epoch.

    Args:
        evaluate: function () -> dict; its floats are logged.
        every: number of epochs; 0 to evaluate only after the last epoch.
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
    """Appends the logs of each epoch, and the seconds that it took, as a row to history.csv.

    Args:
        append: function row (dict) -> None, see `RunFolder.append_history`.
    """

    def __init__(self, append):
        super().__init__()
        self.append = append

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.append({"epoch": epoch + 1, **logs, "seconds": round(time.perf_counter() - self.start, 2)})


class Checkpoint(keras.callbacks.Callback):
    """Saves the weights and the optimizer's state after every epoch.

    Args:
        save: function (epochs done, write) -> None, where write is a function path -> None; see
            `RunFolder.save_checkpoint`.
    """

    def __init__(self, save):
        super().__init__()
        self.save = save

    def on_epoch_end(self, epoch, logs=None):
        self.save(epoch + 1, lambda path: checkpoints.save(self.model, path))
