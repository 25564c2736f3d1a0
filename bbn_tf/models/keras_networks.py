"""Any functional Keras network as a backbone: cut in two where its last block begins.

The networks of `keras.applications` are rows of `NETWORKS`; `register` adds one of your own.  The trunk is everything
up to the input of the layer `cut_layer`, the last block is what follows, global average pooling included.  Both are
clones, so that BBN's two branches share no variable, and clones can have another precision or BatchNorm momentum.
"""

import collections
import dataclasses
import re
from collections.abc import Callable

import keras

from bbn_tf.choices import similar
from bbn_tf.errors import UserError
from bbn_tf.models.layers import Mixup, Trunk

FRESH_MOMENTUM = 0.9  # MobileNetV3's own 0.999 evaluates on stale statistics in short trainings


@dataclasses.dataclass(frozen=True)
class KerasNetwork:
    """A functional network image [B, H, W, 3] -> features [B, D] that is cut at one tensor.

    Attributes:
        name: as the user writes it.
        build: function (input_shape, weights) -> `keras.Model`; weights are None or "imagenet".
        cut_layer: name of the last block's first layer. Its INPUT is where the network is cut: in some families that
            is the output of a sum that belongs to no layer.
        smallest_side: of the images, in pixels.
        first_layer: the trunk begins at this layer's input; None: at the network's. What stands before it
            standardises images, which is done before the trunk here.
        reversed_channels: name of the convolution whose published kernel takes blue, green, red; None if there is none.
        momentum: of every BatchNorm; None: the network's own.
        keeps_weights: whether trunk and branches start from the weights of what `build` returns, not from fresh ones.
        tried: whether `cut_layer` is known to cut the network in two.
    """

    name: str
    build: Callable
    cut_layer: str
    smallest_side: int = 1
    first_layer: str | None = None
    reversed_channels: str | None = None
    momentum: float | None = None
    keeps_weights: bool = False
    tried: bool = True

    def variant(self, cut_layer=None):
        """The network cut at another layer, which may not be there; at its own if that is None."""
        return self if cut_layer is None else dataclasses.replace(self, cut_layer=cut_layer, tried=False)

    def pretrained(self):
        """The network with BatchNorm's own momentum, since weights are loaded afterwards."""
        return dataclasses.replace(self, momentum=None)

    def has_batch_norm(self, base):
        """Whether there is a BatchNorm in the whole network `base`."""
        return any(_is_batch_norm(layer) for side in self.cut(base) for layer in side.layers)

    def check(self, input_shape):
        """Raises UserError if images of `input_shape` (H, W, 3) are too small, or `cut_layer` cuts nothing in two."""
        self._check_size(input_shape)
        if not self.tried:
            self.cut(self.base(input_shape))

    def parts(self, input_shape, block_names, mixup=False, dtype=None, synchronized=False):
        """The trunk and as many last blocks as there are names.

        Args:
            input_shape: (H, W, 3).
            block_names: of the last blocks.
            mixup: whether to put a `Mixup` layer before the network; between its stages there is no place for one.
            dtype: policy of every layer.
            synchronized: BatchNorm over all replicas.

        Returns:
            (model [B, H, W, 3] -> [B, H', W', D'], list of models [B, H', W', D'] -> [B, D]).

        Raises:
            UserError: see `check`.
        """
        trunk, rest = self.cut(self.base(input_shape))
        options = {"dtype": dtype, "synchronized": synchronized}
        return (
            self._clone(trunk, input_shape, "image", "trunk", mixup=mixup, **options),
            [self._clone(rest, trunk.output.shape[1:], "feature_map", name, **options) for name in block_names],
        )

    def base(self, input_shape, weights=None):
        """The whole network, which is then cut."""
        self._check_size(input_shape)
        return self.build(input_shape, weights)

    def _check_size(self, input_shape):
        if min(input_shape[:2]) < self.smallest_side:
            raise UserError(
                f"--backbone={self.name}: takes images of at least {self.smallest_side} x {self.smallest_side} "
                f"pixels, the data's have {input_shape[0]} x {input_shape[1]}"
            )

    def cut(self, base):
        """(trunk, rest): the two sides of `base`, whose variables they share.

        Raises:
            UserError: no such layer, or the tensor before it does not split the network in two.
        """
        layers = {layer.name: layer for layer in base.layers}
        if self.cut_layer not in layers:
            raise UserError(
                f"--cut_layer={self.cut_layer}: is no layer of {self.name}{similar(self.cut_layer, layers)}; "
                "must be the first layer of its last block"
            )
        begin = base.input if self.first_layer is None else layers[self.first_layer].input
        tensor = layers[self.cut_layer].input
        try:
            trunk, rest = keras.Model(begin, tensor), keras.Model(tensor, base.output)
        except (ValueError, TypeError, AttributeError):  # AttributeError: two tensors go into the layer
            trunk = rest = None
        if not (trunk and trunk.weights and rest.weights):
            raise UserError(
                f"--cut_layer={self.cut_layer}: the input of this layer does not split {self.name} in two parts with "
                "weights; must be a layer that all other ways from the images to the features pass through"
            )
        return trunk, rest

    def _clone(self, part, input_shape, input_name, name, mixup=False, dtype=None, synchronized=False):
        names, clones = layer_names(part), []

        def clone(layer):
            if not isinstance(layer, keras.Layer):  # a sum of two tensors, which has no state
                return layer
            config = {**layer.get_config(), "name": names.get(id(layer), layer.name)}
            if dtype is not None:
                config["dtype"] = dtype
            if _is_batch_norm(layer):
                config |= {"momentum": self.momentum or layer.momentum, "synchronized": synchronized}
            clones.append((layer, type(layer).from_config(config)))
            return clones[-1][1]

        inputs = keras.Input(input_shape, name=input_name)
        first = Mixup(name="mixup_0", dtype=dtype)(inputs) if mixup else inputs

        def call(layer, *args, **kwargs):
            return layer(*keras.tree.map_structure(lambda x: first if x is inputs else x, args), **kwargs)

        copy = keras.models.clone_model(part, inputs, clone, call, recursive=True)
        if self.keeps_weights:
            for old, new in clones:
                new.set_weights(old.get_weights())
                finalise(new)
        return (Trunk if name == "trunk" else keras.Model)(copy.inputs[0], copy.outputs[0], name=name)


def layer_names(part):
    """dict id of a layer -> name, of the layers with weights that Keras has numbered.

    Keras numbers layers without a name by how many the process has made before: a second Xception's `conv2d_3` is
    `conv2d_7`.  Weights are found by name, so the numbers begin again in each part.
    """
    names, counts = {}, collections.Counter()
    for layer in part.layers:
        stem = re.sub(r"_\d+$", "", layer.name)
        if layer.weights and stem.replace("_", "") == type(layer).__name__.lower():
            names[id(layer)] = f"{stem}_{counts[stem]}" if counts[stem] else stem
            counts[stem] += 1
    return names


def named_weights(layer):
    """Yields (name, variable) of a layer.

    A name that its layers share is numbered from its second variable on; one that Keras has numbered over the whole
    process (ConvNeXt's `variable_36`) loses the number.
    """
    counts = collections.Counter()
    for variable in layer.weights:
        name = re.sub(r"^variable_\d+$", "variable", variable.name)
        counts[name] += 1
        yield (name if counts[name] == 1 else f"{name}_{counts[name]}"), variable


def finalise(layer):
    """Makes a `Normalization` layer use the statistics it was given: it does not see them otherwise."""
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()


def _is_batch_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization)


def application(name, last_block, cut_layer=None, options=None, smallest_side=32, **others):
    """A network of `keras.applications`, without its classifier and with global average pooling.

    Args:
        name: of its function there.
        last_block: name of the first layer of its last block.
        cut_layer: name of another layer to cut at, which may not be there; None for `last_block`.
        options: further arguments of the function.
        smallest_side, **others: see `KerasNetwork`.
    """

    def build(input_shape, weights):
        function = getattr(keras.applications, name)
        arguments = {"include_top": False, "pooling": "avg", "input_shape": input_shape, "weights": weights}
        return function(**arguments, **(options or {}))

    others = {"smallest_side": smallest_side, "momentum": FRESH_MOMENTUM, **others}
    return KerasNetwork(f"keras:{name}", build, last_block, **others).variant(cut_layer)


def registered(name, model, cut_layer):
    """`KerasNetwork` of a model of the user's own; see `backbones.register`."""
    functional = isinstance(model, keras.Model) and getattr(model, "inputs", None) and getattr(model, "outputs", None)
    if not functional or len(model.inputs) > 1 or len(model.outputs) > 1 or len(model.inputs[0].shape) != 4:
        raise UserError(f"backbone {name}: must be a functional keras.Model of one image [B, H, W, 3]")
    if len(model.outputs[0].shape) != 2:
        raise UserError(
            f"backbone {name}: its output has the shape {list(model.outputs[0].shape)}, must be features [B, D]; end "
            "it with keras.layers.GlobalAveragePooling2D"
        )
    own = tuple(model.inputs[0].shape[1:])

    def build(input_shape, weights):
        if any(a is not None and a != b for a, b in zip(own, input_shape, strict=True)):
            raise UserError(f"--backbone={name}: takes images of the shape {list(own)}, the data's {list(input_shape)}")
        return model

    network = KerasNetwork(name, build, cut_layer, keeps_weights=True, tried=False)
    network.cut(model)
    return network
