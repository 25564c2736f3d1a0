"""Initial weights of trunk and branches, by name: of an earlier run, of torchvision, or published by Keras."""

import collections
import os
import pathlib
import re

import keras
import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.files import check_whole
from bbn_tf.models import (
    backbones,
    bbn,  # noqa: F401  (an earlier run may be one)
    keras_weights,
)
from bbn_tf.models.keras_networks import KerasNetwork, finalise, named_weights
from bbn_tf.models.keras_table import IMAGENET
from bbn_tf.models.layers import Mixup
from bbn_tf.models.plain import build_plain

# Part of the model -> parts of the earlier one that it may come from, the most similar first.
SOURCES = {
    "trunk": ("trunk",),
    "last_block": ("last_block", "conventional_block"),
    "conventional_block": ("conventional_block", "last_block"),
    "rebalancing_block": ("rebalancing_block", "last_block"),
}
TORCH_VARIABLES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
COUNTER = "num_batches_tracked"  # BatchNorm's in PyTorch; no weight


def check(path, backbone, network=None, input_shape=(32, 32, 3)):
    """Finds out whether `load` will succeed.

    Args:
        path: of a run's folder, a `.keras` file of a run, or an `.npz` file of torchvision's names; of a network of
            `keras.applications` also "imagenet", an `.h5` file or a `.keras` file with the network in it.
        backbone: a name of `BACKBONES`.
        network: what it makes, if not with its defaults.
        input_shape: (H, W, 3).

    Raises:
        UserError: no such file, one that can't be read, or weights that are not exactly this backbone's.
    """
    network = backbones.made(network or backbone)
    _match(path, backbone, network, build_plain(network, input_shape, 1))


def load(path, backbone, model, network=None):
    """Loads trunk and branches of `model` (`BBN` or `Plain`), never the classifier, and prints what was left out.

    Args:
        path, backbone, network: see `check`, with its errors.
    """
    arrays, found = _match(path, backbone, backbones.made(network or backbone), model)
    for variable, name in found:
        variable.assign(arrays[name])
    for part in model.layers:
        for layer in getattr(part, "layers", []):
            finalise(layer)
    used = {name for _, name in found}
    left_out = _summary(name for name in arrays if name not in used)
    print(f"init_from {path}: {len(used)} of {len(arrays)} arrays loaded; left out: {left_out}")


def _match(path, backbone, network, model):
    """Reads and checks; returns (dict name in the file -> array, list of (variable of `model`, name in the file))."""
    arrays, found = _read(path, network), []
    torch = str(path).endswith(".npz")
    for part, layer, weight, variable in _variables(model):
        if part in SOURCES:
            names = [f"{source}/{layer}/{weight}" for source in SOURCES[part]]
            if torch:
                names = [_torch_name(layer, weight, network.blocks_per_stage)]
            found.append((variable, next((name for name in names if name in arrays), names[0])))
    if reason := _misfit(arrays, found):
        raise UserError(f"--init_from={path}: does not fit --backbone={backbone}: {reason}")
    return arrays, found


def _misfit(arrays, found):
    """Why these arrays are not the weights of the backbone, None if they are."""
    for variable, name in found:
        if name not in arrays:
            return f"{name} is missing"
        if arrays[name].shape != tuple(variable.shape):
            return f"{name} has the shape {list(arrays[name].shape)}, must have {list(variable.shape)}"
        if arrays[name].dtype.kind != "f":
            return f"{name} holds {arrays[name].dtype}, must hold floating-point numbers"
    used = {name for _, name in found}
    for name in arrays:
        if name not in used and name.startswith(("trunk/", "layer")) and not name.endswith(COUNTER):
            return f"{name} has no place in it"
    return None


def _variables(model):
    """Yields (part, layer, name of a weight, its variable); a `Mixup` layer's is a draw and no weight."""
    for part in model.layers:
        for layer in part.layers if isinstance(part, keras.Model) else [part]:
            if not isinstance(layer, Mixup):
                yield from ((part.name, layer.name, *named) for named in named_weights(layer))


def _read(path, network):
    """dict name -> array in Keras's layout, of a run's folder, a file, or what Keras publishes."""
    kinds, text = (".keras", ".npz"), "a .keras file or an .npz file of torchvision's names"
    if isinstance(network, KerasNetwork):
        if path == IMAGENET:
            return keras_weights.published(network)
        kinds, text = (".keras", ".h5"), "imagenet, a .keras file or an .h5 file of weights"
        if network.keeps_weights:  # the user's own
            kinds, text = (".keras",), "a .keras file"
    file = pathlib.Path(path, "model.keras") if os.path.isdir(path) else pathlib.Path(path)
    if file.suffix not in kinds or not os.path.isfile(file):
        raise UserError(f"--init_from={path}: must be the folder of a finished run, {text}, and {file} is no such file")
    if file.suffix == ".h5":
        return keras_weights.of_h5(network, path)
    try:
        check_whole(file)
        content = _read_npz(file) if file.suffix == ".npz" else keras.models.load_model(file, compile=False)
    except Exception as error:  # whatever a damaged or a foreign file makes Keras or NumPy raise
        raise UserError(f"--init_from={path}: damaged, can't be read ({type(error).__name__})") from error
    return content if isinstance(content, dict) else _of_model(content, network, path)


def _of_model(model, network, path):
    if isinstance(network, KerasNetwork) and "trunk" not in {layer.name for layer in model.layers}:
        return keras_weights.of_model(network, model, path)
    return {
        f"{part}/{layer}/{name}": keras.ops.convert_to_numpy(variable)
        for part, layer, name, variable in _variables(model)
    }


def _read_npz(file):
    """Convolutions are [out, in, height, width] in PyTorch, [height, width, in, out] in Keras."""
    with np.load(file) as arrays:
        return {name: array.transpose(2, 3, 1, 0) if array.ndim == 4 else array for name, array in arrays.items()}


def _torch_name(layer, variable, blocks_per_stage):
    """torchvision's name of a weight: ("stage1_block2_3_conv", "kernel") -> "layer1.1.conv3.weight"."""
    *place, unit, kind = layer.split("_")
    if not place:  # the stem
        return f"{kind}1.{TORCH_VARIABLES[variable]}"
    stage, block = re.findall(r"\d+", "_".join(place)) or (len(blocks_per_stage), blocks_per_stage[-1])
    module = f"downsample.{('conv', 'bn').index(kind)}" if unit == "shortcut" else f"{kind}{unit}"
    return f"layer{stage}.{int(block) - 1}.{module}.{TORCH_VARIABLES[variable]}"


def _summary(names):
    """Names as text, those of one of our layers or parts and PyTorch's counters counted together."""
    groups = collections.Counter(re.sub(rf"/.*|.*\.(?={COUNTER}$)", "", name) for name in names)
    return ", ".join(name if count == 1 else f"{count} {name}" for name, count in groups.items()) or "nothing"
