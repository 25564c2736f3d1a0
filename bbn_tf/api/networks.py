"""Networks for your own training: a BBN of any backbone, and the classifier that it becomes."""

from collections.abc import Sequence
from typing import Protocol

import keras

from bbn_tf.api import checks
from bbn_tf.api.streams import Streams
from bbn_tf.models import backbones, bbn
from bbn_tf.models import init_from as weights


class Standardised(Protocol):
    """`Streams` or `TrainedRun`: how images were standardised, per channel, scaled to [0, 1]."""

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...


def build_bbn(data: Streams, *, init_from: str | None = None, dtype: str = "float32") -> bbn.BBN:
    """Makes a BBN for the images of `data`, with the backbone that they are standardised for.

    Args:
        data: what `streams` has made.
        init_from: where trunk and branches start from: "imagenet" for a network of keras.applications, or a file or
            folder as --init_from takes it; None for random weights, or for those of a registered network.
        dtype: policy of the layers, "mixed_bfloat16" for half precision; the logits are float32.

    Returns:
        `keras.Model` (float [B, H, W, 3], float [B, H, W, 3]) -> logits [B, C], to be compiled with a loss of logits;
        its `alpha` is what `CumulativeLearning` sets.

    Raises:
        UserError: the images are too small, or the weights are not those of the backbone.
    """
    checks.channels_last()
    network = backbones.made(data.backbone)
    if init_from and backbones.BACKBONES[data.backbone].published:
        network = network.pretrained()
    network.check(data.input_shape)
    model = bbn.build_bbn(network, data.input_shape, data.num_classes, dtype=dtype)
    if init_from:
        weights.load(init_from, data.backbone, model, network)
    return model


def inference_model(model: keras.Model, data: Standardised) -> keras.Model:
    """Makes a classifier of a trained model: one input, standardisation inside, alpha 0.5; it shares the weights.

    Args:
        model: what `build_bbn` has made, or the model of a `TrainedRun`.
        data: the `Streams` that it was trained on, or that run.

    Returns:
        `keras.Model` images [B, H, W, 3] with values from 0 to 255 -> logits [B, C].

    Raises:
        UserError: an argument is not that.
    """
    checks.has("model", model, "inference", "what build_bbn has made, or the model of a run that load_run has read")
    checks.has("data", data, "std", "what streams has made, or the run")
    inference = model.inference()
    image = keras.Input(inference.input_shape[1:], name="image")
    scale, offset = [1 / (255 * s) for s in data.std], [-m / s for m, s in zip(data.mean, data.std, strict=True)]
    standardised = keras.layers.Rescaling(scale, offset, dtype="float32", name="standardised")(image)
    return keras.Model(image, inference(standardised), name="classifier")


def register_backbone(
    name: str, model: keras.Model, cut_layer: str, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Makes your own functional Keras model a backbone, from whose weights trunk and branches start.

    Args:
        name: as `streams` and `--backbone` will name it; not that of a network of the table.
        model: image [B, H, W, 3] -> features [B, D].
        cut_layer: name of the first layer of its last block, of which BBN makes two.
        mean, std: three numbers each, of red, green and blue scaled to [0, 1], as the model was trained; (0, 0, 0) and
            (1/255, 1/255, 1/255) of one that takes values from 0 to 255.

    Raises:
        UserError: `model` is no such model, or can't be cut there; or another argument is not that.
    """
    backbones.register(name, model, cut_layer, mean, std)
