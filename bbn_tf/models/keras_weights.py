"""Weights for a network of `keras_networks` from outside: what `keras.applications` publishes, or files of it.

Arrays come under the names of a plain model made here: "trunk/LAYER/VARIABLE" and "last_block/LAYER/VARIABLE".
"""

import contextlib
import os
import pathlib
import re
import socket
import urllib.request

import keras
import numpy as np

from bbn_tf.choices import IMAGENET_MEAN, IMAGENET_STD
from bbn_tf.errors import UserError
from bbn_tf.models.keras_networks import layer_names, named_weights
from bbn_tf.models.keras_table import IMAGENET

SHAPE = (224, 224, 3)  # MobileNets have other weights for other sizes; this one's are for all
SECONDS_WITHOUT_ANSWER = 10
PUBLISHED = "https://storage.googleapis.com/tensorflow/keras-applications/"
FILES = {  # where Keras publishes the weights of what --mode=describe advises
    "keras:MobileNetV3Small": "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    "keras:EfficientNetV2B0": "efficientnet_v2/efficientnetv2-b0_notop.h5",
}


def published(network):
    """Downloads, or takes from Keras's cache, the weights trained on ImageNet.

    Args:
        network: `KerasNetwork`.

    Returns:
        dict name -> array.

    Raises:
        UserError: there are none, or no connection; says which file to put where.
    """
    if network.keeps_weights:
        raise UserError(
            f"--init_from={IMAGENET}: --backbone={network.name} is your own, no weights are published of it"
        )
    try:
        with _socket_timeout(SECONDS_WITHOUT_ANSWER):
            base = network.base(SHAPE, IMAGENET)
    except Exception as error:  # Keras raises Exception itself
        raise UserError(f"--init_from={IMAGENET}: {_download_advice(error)}") from error
    return arrays_of(network, base)


def lacking(backbone):
    """Why the weights that `published` loads can't be had now, and what to do, in one line; None if they can.

    Args:
        backbone: a key of `FILES`.
    """
    url = PUBLISHED + FILES[backbone]
    if (_cache() / url.rsplit("/", 1)[-1]).is_file():
        return None
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS_WITHOUT_ANSWER).close()
    except OSError as error:
        return _advice(url, getattr(error, "reason", error))
    return None


def of_h5(network, path):
    """The weights in a file that Keras publishes (`*_notop.h5`, `*_no_top.h5`) or that `save_weights` has written.

    Raises:
        UserError: they are not this network's.
    """
    base = network.base(SHAPE)
    try:
        base.load_weights(path)
    except Exception as error:  # whatever a foreign or damaged file makes h5py or Keras raise
        raise UserError(
            f"--init_from={path}: holds no weights of {network.name} without its classifier: {_first_line(error)}"
        ) from error
    return arrays_of(network, base)


def of_model(network, model, path):
    """The weights of a whole model: the network itself, with or without a classifier, or around it.

    Raises:
        UserError: the network is not in it.
    """
    for base in (model, *model.layers):
        if network.cut_layer in {layer.name for layer in getattr(base, "layers", [])}:
            return arrays_of(network, base)
    raise UserError(f"--init_from={path}: does not fit --backbone={network.name}: no layer {network.cut_layer}")


def arrays_of(network, base):
    """dict name -> array of the two sides of `base`, a network as Keras builds it: for RGB images.

    Raises:
        UserError: it standardises its input otherwise than the published networks.
    """
    _check_normalisation(network, base)
    arrays = {}
    for part, side in zip(("trunk", "last_block"), network.cut(base), strict=True):
        names = layer_names(side)
        for layer in side.layers:
            prefix = f"{part}/{names.get(id(layer), layer.name)}"
            arrays |= {f"{prefix}/{name}": keras.ops.convert_to_numpy(v) for name, v in named_weights(layer)}
    if network.reversed_channels:
        kernel = f"trunk/{network.reversed_channels}/kernel"
        arrays[kernel] = arrays[kernel][:, :, ::-1]
    return arrays


def _check_normalisation(network, base):
    """Published EfficientNets hold the standard deviations as variances, and a layer more puts that right."""
    if network.first_layer is None:
        return
    for layer in base.layers:
        if isinstance(layer, keras.layers.Normalization):
            found = [keras.ops.convert_to_numpy(layer.weights[place]) for place in (0, 1)]
            if not np.allclose(found, [IMAGENET_MEAN, IMAGENET_STD], atol=1e-4):
                raise UserError(
                    f"--init_from: its normalisation holds {found[0].tolist()} and {found[1].tolist()}, the published "
                    f"{network.name} has {list(IMAGENET_MEAN)} and {list(IMAGENET_STD)}"
                )


def _download_advice(error):
    url = re.search(r"https?://\S+\.h5", str(error))
    if url is None:
        return f"{_first_line(error)}; delete the file in {_cache()} and download it again"
    return _advice(url[0], _first_line(error).rsplit(" -- ", 1)[-1])


def _advice(url, reason):
    file = url.rsplit("/", 1)[-1]
    return (
        f"{url} can't be downloaded ({reason}); put this file into {_cache()}, or give its path as --init_from={file}"
    )


def _cache():
    """Folder where Keras keeps what it downloads."""
    return pathlib.Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


@contextlib.contextmanager
def _socket_timeout(seconds):
    """Keras sets none, and would wait for minutes where no answer comes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
