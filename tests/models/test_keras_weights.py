"""The weights that Keras publishes, here of random numbers in files of the published form."""

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from bbn_tf.errors import UserError
from bbn_tf.models import backbones, keras_weights
from tests.models.test_keras_networks import original

NETWORK = backbones.made("keras:MobileNetV3Small")


def write_h5(model, path):
    """The format of `*_notop.h5`, which Keras 3 reads but no longer writes."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


def assert_same(arrays, base, network=NETWORK):
    expected = keras_weights.arrays_of(network, base)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.fixture(scope="module")
def base():
    return original("MobileNetV3Small")


@pytest.fixture(scope="module")
def file(base, tmp_path_factory):
    return write_h5(base, tmp_path_factory.mktemp("weights") / "any_name.h5")


def test_a_file_by_its_path(base, file):
    assert_same(keras_weights.of_h5(NETWORK, str(file)), base)


def test_imagenet(base, file, monkeypatch):
    asked = []
    monkeypatch.setattr(file_utils, "get_file", lambda name, *args, **options: asked.append(name) or str(file))
    assert_same(keras_weights.published(NETWORK), base)
    assert asked == ["weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"]


@pytest.mark.parametrize("backbone", keras_weights.FILES)
def test_where_weights_are_looked_for_is_where_keras_does(backbone, monkeypatch):
    asked = []

    def get_file(name, url, **options):
        asked.append(url)
        raise OSError("no connection")

    monkeypatch.setattr(file_utils, "get_file", get_file)
    with pytest.raises(UserError):
        keras_weights.published(backbones.made(backbone))
    assert asked == [keras_weights.PUBLISHED + keras_weights.FILES[backbone]]


def test_weights_that_are_there_or_cant_be_had(monkeypatch, tmp_path):
    def no_answer(request, timeout):
        assert request.get_method() == "HEAD"  # asks, downloads nothing
        raise OSError("no answer")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras_weights.urllib.request, "urlopen", no_answer)
    why = keras_weights.lacking("keras:EfficientNetV2B0")
    assert why == (
        "https://storage.googleapis.com/tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0_notop.h5 can't "
        f"be downloaded (no answer); put this file into {tmp_path}/models, or give its path as "
        "--init_from=efficientnetv2-b0_notop.h5"
    )
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnetv2-b0_notop.h5").touch()
    assert keras_weights.lacking("keras:EfficientNetV2B0") is None


def test_a_whole_model_with_a_classifier_or_around_the_network(base):
    assert_same(
        keras_weights.of_model(NETWORK, keras.Sequential([keras.Input((32, 32, 3)), base, keras.layers.Dense(3)]), "x"),
        base,
    )
    arrays = keras_weights.of_model(
        NETWORK, keras.Model(base.input, keras.layers.Dense(3, name="predictions")(base.output)), "x"
    )
    assert arrays.pop("last_block/predictions/kernel").shape == (576, 3)
    arrays.pop("last_block/predictions/bias")
    assert_same(arrays, base)
    with pytest.raises(UserError, match="--init_from=file: does not fit --backbone=keras:MobileNetV3Small: no layer"):
        keras_weights.of_model(NETWORK, keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)]), "file")


def test_other_files(file, tmp_path):
    with pytest.raises(UserError, match="holds no weights of keras:MobileNetV2 without its classifier: Layer count"):
        keras_weights.of_h5(backbones.made("keras:MobileNetV2"), str(file))
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(UserError, match=r"--init_from=.*text.h5: holds no weights of keras:MobileNetV3Small"):
        keras_weights.of_h5(NETWORK, str(tmp_path / "text.h5"))


def test_a_failed_download_says_which_file_goes_where(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def fail(url, target, progress):
        raise file_utils.urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", fail)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    file = "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5"
    message = (
        rf"^--init_from=imagenet: https://\S+/{file} can't be downloaded \(Name or service not known\); put this file "
        rf"into {tmp_path}/models, or give its path as --init_from={file}$"
    )
    with pytest.raises(UserError, match=message):
        keras_weights.published(NETWORK)


def test_a_network_of_the_users_own_has_none(base):
    from bbn_tf.models.keras_networks import registered

    network = registered("own", base, NETWORK.cut_layer)
    with pytest.raises(UserError, match="--init_from=imagenet: --backbone=own is your own, no weights are publ"):
        keras_weights.published(network)


def test_resnets_kernel_is_turned_to_red_green_blue():
    network = backbones.made("keras:ResNet50")
    base = network.base((32, 32, 3))
    kernel = keras_weights.arrays_of(network, base)["trunk/conv1_conv/kernel"]
    blue_green_red = keras.ops.convert_to_numpy(base.get_layer("conv1_conv").kernel)
    np.testing.assert_array_equal(kernel, blue_green_red[:, :, [2, 1, 0]])


def test_an_efficientnet_that_standardises_otherwise_is_refused():
    network = backbones.made("keras:EfficientNetB0")
    with pytest.raises(UserError, match=r"its normalisation holds \[0.0, 0.0, 0.0\] and \[1.0, 1.0, 1.0\], the publ"):
        keras_weights.arrays_of(network, network.base((32, 32, 3)))
