"""Initial weights of trunk and branches, by name, out of an earlier run or of torchvision's ResNets."""

import collections
import os
import pathlib
import re

import keras
import numpy as np

from bbn_tf.errors import UserError
from bbn_tf.files import check_whole
from bbn_tf.models import bbn  # noqa: F401  (an earlier run may be one)
from bbn_tf.models.backbones import BACKBONES
from bbn_tf.models.layers import Mixup
from bbn_tf.models.plain import build_plain

# Part of the model -> parts of the earlier one that it may come from, the most similar first.
SOURCES = {
    "trunk": ("trunk",),
    "last_block": ("last_block", "conventional_block"),
    "conventional_block": ("conventional_block", "last_block"),
    "rebalancing_block": ("rebalancing_block", "last_block"),
}
TORCH_VARIABLES = {"kernel": "weight", "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
                   "moving_variance": "running_var"}  # fmt: skip
COUNTER = "num_batches_tracked"  # BatchNorm's in PyTorch; no weight


def check(path, backbone):
    """Finds out whether `load` will succeed.

    Args:
        path: of a run's folder, a `.keras` file of a run, or an `.npz` file of torchvision's names.
        backbone: a name of `BACKBONES`.

    Raises:
        UserError: no such file, one that can't be read, or weights that are not exactly this backbone's.
    """
    _match(path, backbone, build_plain(backbone, (32, 32, 3), 1))


def load(path, backbone, model):
    """Loads trunk and branches of `model` (`BBN` or `Plain`), never the classifier, and prints what was left out.

    Args:
        path, backbone: see `check`, with its errors.
    """
    arrays, found = _match(path, backbone, model)
    for variable, name in found:
        variable.assign(arrays[name])
    used = {name for _, name in found}
    left_out = _summary(name for name in arrays if name not in used)
    print(f"init_from {path}: {len(used)} of {len(arrays)} arrays loaded; left out: {left_out}")


def _match(path, backbone, model):
    """Reads and checks; returns (dict name in the file -> array, list of (variable of `model`, name in the file))."""
    file, arrays = _read(path)
    found = []
    for part, layer, variable in _variables(model):
        if part in SOURCES:
            names = [f"{source}/{layer}/{variable.name}" for source in SOURCES[part]]
            if file.suffix == ".npz":
                names = [_torch_name(layer, variable.name, BACKBONES[backbone]().blocks_per_stage)]
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
    """Yields (part, layer, variable) of all weights; a `Mixup` layer's is a draw and no weight."""
    for part in model.layers:
        for layer in part.layers if isinstance(part, keras.Model) else [part]:
            if not isinstance(layer, Mixup):
                yield from ((part.name, layer.name, variable) for variable in layer.weights)


def _read(path):
    """(file, dict name -> array in Keras's layout) of a run's folder or a file."""
    file = pathlib.Path(path, "model.keras") if os.path.isdir(path) else pathlib.Path(path)
    read = {".keras": _read_keras, ".npz": _read_npz}.get(file.suffix)
    if read is None or not os.path.isfile(file):
        raise UserError(
            f"--init_from={path}: must be the folder of a finished run, a .keras file or an .npz file of torchvision's "
            f"names, and {file} is no such file"
        )
    try:
        check_whole(file)
        return file, read(file)
    except Exception as error:  # whatever a damaged or a foreign file makes Keras or NumPy raise
        raise UserError(f"--init_from={path}: damaged, can't be read ({type(error).__name__})") from error


def _read_keras(file):
    model = keras.models.load_model(file, compile=False)
    return {
        f"{part}/{layer}/{variable.name}": keras.ops.convert_to_numpy(variable)
        for part, layer, variable in _variables(model)
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
