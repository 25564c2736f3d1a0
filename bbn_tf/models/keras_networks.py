"""Any functional Keras network as a backbone: cut in two where its last block begins.

The networks of `keras.applications` are rows of `NETWORKS`; `register` adds one of your own.  The trunk is everything
up to the input of the layer `cut_layer`, the last block is what follows, global average pooling included.  Both are
clones, so that BBN's two branches share no variable, and clones can have another precision or BatchNorm momentum.
"""

import collections
import dataclasses
import difflib
import re
from collections.abc import Callable

from bbn_tf.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
PREFIX = "keras:"
FRESH_MOMENTUM = 0.9  # MobileNetV3's own 0.999 evaluates on stale statistics in short trainings


@dataclasses.dataclass(frozen=True)
class KerasNetwork:
    """A functional network image [B, H, W, 3] -> features [B, D] that is cut at one tensor.

    Attributes:
        name: as the user writes it.
        build: function (input_shape, weights) -> `keras.Model`; weights are None or "imagenet".
        cut_layer: name of the last block's first layer. Its INPUT is where the network is cut: in some families that
            is the output of a sum that belongs to no layer.
        mean, std: per channel, of images scaled to [0, 1]: the standardisation that the weights were trained with.
        smallest_side: of the images, in pixels.
        first_layer: the trunk begins at this layer's input; None: at the network's. What stands before it
            standardises images, which `mean` and `std` do here.
        reversed_channels: name of the convolution whose published kernel takes blue, green, red; None if there is none.
        momentum: of every BatchNorm; None: the network's own.
        keeps_weights: whether trunk and branches start from the weights of what `build` returns, not from fresh ones.
    """

    name: str
    build: Callable
    cut_layer: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    smallest_side: int = 1
    first_layer: str | None = None
    reversed_channels: str | None = None
    momentum: float | None = FRESH_MOMENTUM
    keeps_weights: bool = False

    def variant(self, cut_layer=None, pretrained=False):
        """This network as the settings want it.

        Args:
            cut_layer: another place to cut; None for the usual one.
            pretrained: whether weights are loaded afterwards: BatchNorm's momentum is then the network's own.
        """
        changes = {"momentum": None} if pretrained else {}
        if cut_layer is not None:
            changes["cut_layer"] = cut_layer
        return dataclasses.replace(self, **changes)

    def check(self, input_shape):
        """Raises UserError if images of `input_shape` (H, W, 3) are too small, or `cut_layer` cuts nothing in two."""
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
            UserError: see `check`; or `synchronized`, and there is no BatchNorm.
        """
        trunk, rest = self.cut(self.base(input_shape))
        if synchronized and not any(_is_batch_norm(layer) for layer in (*trunk.layers, *rest.layers)):
            raise UserError(f"--sync_batch_norm: --backbone={self.name} has no BatchNorm, leave the flag out")
        options = {"dtype": dtype, "synchronized": synchronized}
        return (
            self._clone(trunk, input_shape, "image", "trunk", mixup=mixup, **options),
            [self._clone(rest, trunk.output.shape[1:], "feature_map", name, **options) for name in block_names],
        )

    def base(self, input_shape, weights=None):
        """The whole network, which is then cut.

        Raises:
            UserError: the images are too small.
        """
        height, width, _ = input_shape
        if min(height, width) < self.smallest_side:
            raise UserError(
                f"--backbone={self.name}: takes images of at least {self.smallest_side} x {self.smallest_side} "
                f"pixels, the data's have {height} x {width}"
            )
        return self.build(input_shape, weights)

    def cut(self, base):
        """(trunk, rest): the two sides of `base`, whose variables they share.

        Raises:
            UserError: no such layer, or the tensor before it does not split the network in two.
        """
        import keras

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
        import keras

        from bbn_tf.models.layers import Mixup, Trunk

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


def similar(name, names):
    """The names most similar to `name` as the end of a message, empty if none is."""
    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    return f" (similar: {', '.join(close)})" if close else ""


def _is_batch_norm(layer):
    import keras

    return isinstance(layer, keras.layers.BatchNormalization)


def registered(name, model, cut_layer, mean, std):
    """A network of the user's own, whose weights trunk and branches start from.

    Args:
        name: as `--backbone` will name it.
        model: functional `keras.Model` image [B, H, W, 3] -> features [B, D].
        cut_layer: name of the first layer of its last block.
        mean, std: per channel, of images scaled to [0, 1]; (0, 0, 0) and (1/255, 1/255, 1/255) of a model that takes
            values from 0 to 255.

    Returns:
        `KerasNetwork`.

    Raises:
        UserError: `model` is no such model, or can't be cut there.
    """
    import keras

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

    network = KerasNetwork(name, build, cut_layer, tuple(mean), tuple(std), momentum=None, keeps_weights=True)
    network.cut(model)
    return network
