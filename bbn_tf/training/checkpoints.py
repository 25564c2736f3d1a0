"""A model's weights and its optimizer's state as one `.npz` file: written once an epoch, in milliseconds.

Keras's own format also describes the network, which takes it 0.15 s for a ResNet-8 and longer the deeper it is.
"""

import keras
import numpy as np

from bbn_tf.errors import UserError


def save(model, path):
    """Writes weights and optimizer state of a compiled model, whose optimizer has been built, to `path`."""
    np.savez(path, **arrays_of(model))


def read(model, path):
    """dict name -> array, what `save` has written of a model of the same build.

    Raises:
        UserError: it was another model.
    """
    with np.load(path) as file:
        arrays = dict(file)
    shapes = {name: tuple(variable.shape) for name, variable in _variables(model).items()}
    for name in shapes | arrays:
        there, wanted = getattr(arrays.get(name), "shape", None), shapes.get(name)
        if there != wanted:
            raise UserError(
                f"{path}: is whole, but of another network than these data and settings make ({name} has the shape "
                f"{there}, not {wanted}); are there other classes than when the run began? Nothing was changed"
            )
    return arrays


def restore(model, newest, from_first=lambda value: value):
    """Loads the newest checkpoint that can be read; returns the number of epochs it has behind it, 0 without one.

    Args:
        model: compiled.
        newest: function (read: path -> arrays) -> (epochs done, arrays), see `RunFolder.newest_checkpoint`.
        from_first: the first host's value of a value; see `hosts.from_first`.
    """
    model.optimizer.build(model.trainable_variables)  # or its state would be left out of what is loaded
    epochs_done, arrays = newest(lambda path: read(model, path))
    epochs_done = int(from_first(epochs_done))
    if epochs_done:
        assign(model, from_first(arrays or arrays_of(model)))
    return epochs_done


def assign(model, arrays):
    """Gives a model what `read` has returned."""
    for name, variable in _variables(model).items():
        variable.assign(arrays[name])


def arrays_of(model):
    """dict name -> array, as `read` returns it, of the model as it is."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}


def _variables(model):
    """dict name in the file -> variable; by place, since Keras numbers equal names differently in every process."""
    weights = {f"weight{place}": variable for place, variable in enumerate(model.weights)}
    known = {id(variable) for variable in model.weights}
    others = [variable for variable in model.variables if id(variable) not in known]
    weights |= {f"seed{place}": variable for place, variable in enumerate(others)}  # of Dropout
    return weights | {f"optimizer{place}": variable for place, variable in enumerate(model.optimizer.variables)}
