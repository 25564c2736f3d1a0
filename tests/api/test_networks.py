import keras
import numpy as np
import pytest

import bbn_tf
from bbn_tf.errors import UserError
from bbn_tf.models import backbones

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype="uint8")
LABELS = [0, 0, 0, 0, 1, 1]


def data_for(backbone):
    return bbn_tf.streams(IMAGES, LABELS, backbone=backbone, batch_size=2)


def test_a_classifier_standardises_and_has_alpha_one_half(tmp_path):
    data = data_for("resnet8")
    model = bbn_tf.build_bbn(data)
    model.alpha.assign(0.9)
    classifier = bbn_tf.inference_model(model, data)
    standardised = ((IMAGES / 255 - np.array(data.mean)) / np.array(data.std)).astype(np.float32)
    conventional, rebalancing = (np.asarray(part) for part in model.branch_features(standardised))
    kernels, layer = model.classifier_kernels(), model.get_layer("classifier")
    expected = conventional @ kernels["conventional"] + rebalancing @ kernels["rebalancing"] + np.asarray(layer.bias)
    np.testing.assert_allclose(classifier(IMAGES), expected, rtol=1e-3, atol=1e-4)  # 2 x 0.5 = 1
    classifier.save(tmp_path / "classifier.keras")
    again = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_array_equal(again(IMAGES), classifier(IMAGES))


def test_compiled_metrics_are_of_the_mixed_logits_and_the_uniform_streams_labels():
    model = bbn_tf.build_bbn(data_for("resnet8"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"], run_eagerly=True)
    pair = tuple(np.float32([IMAGES, IMAGES[::-1]]) / 255)
    predicted = np.argmax(model(pair), axis=-1)
    labels = predicted.copy()
    labels[:2] = 1 - labels[:2]  # two of six are wrong; all are wrong by the other stream's
    logs = model.test_on_batch(pair, (labels, 1 - predicted), return_dict=True)
    assert logs["accuracy"] == pytest.approx(4 / 6)
    assert {"conventional_loss", "rebalancing_loss"} <= set(logs)


def test_a_network_of_ones_own_by_a_name():
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, name="last")(keras.layers.Conv2D(2, 3, name="first")(image))
    own = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    try:
        bbn_tf.register_backbone("mine", own, "last", (0, 0, 0), (1 / 255,) * 3)
        data = data_for("mine")
        features = bbn_tf.build_bbn(data).branch_features(IMAGES.astype(np.float32))
    finally:
        backbones.BACKBONES.pop("mine", None)
    assert (data.mean, data.std) == ((0, 0, 0), (1 / 255,) * 3)  # it takes values from 0 to 255
    for branch in features:
        np.testing.assert_allclose(branch, own(IMAGES.astype(np.float32)), rtol=1e-5)


def test_what_a_network_refuses(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="keras:MobileNetV3Small: takes images of at least 32 x 32 pixels, .* 8 x 8"):
        bbn_tf.build_bbn(data_for("keras:MobileNetV3Small"))
    with pytest.raises(UserError, match="init_from=.*none: must be the folder of a finished run"):
        bbn_tf.build_bbn(data_for("resnet8"), init_from=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"^backbone=resnet33: unknown \(similar: resnet3"):
        backbones.made("resnet33")
    model = bbn_tf.build_bbn(data_for("resnet8"))
    for wrong in (model.inference(), "run"):
        with pytest.raises(UserError, match="^model: must be what build_bbn has made, or .*; received a (Funct|str)"):
            bbn_tf.inference_model(wrong, data_for("resnet8"))
    with pytest.raises(UserError, match="^data: must be what streams has made, or the run; received a BBN$"):
        bbn_tf.inference_model(model, model)
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    calls = (lambda: bbn_tf.build_bbn(data_for("resnet8")), lambda: bbn_tf.train_and_evaluate(bbn_tf.Config()))
    for call in calls:
        with pytest.raises(UserError, match='^Keras: must be set with keras.config.set_image_data_format."channels_la'):
            call()


def test_alpha_by_the_epochs_of_fit_or_by_ones_own():
    def alphas(callback, epochs=4):
        callback.set_params({"epochs": epochs})
        return [callback.alpha_at(epoch) for epoch in range(epochs)]

    assert alphas(bbn_tf.CumulativeLearning()) == [1, 1 - 1 / 16, 0.75, 1 - 9 / 16]
    assert alphas(bbn_tf.CumulativeLearning(2)) == [1, 0.75, 0, 0]
    assert alphas(bbn_tf.CumulativeLearning(adaptor="linear_decay")) == [1, 0.75, 0.5, 0.25]
    assert alphas(bbn_tf.CumulativeLearning(adaptor=lambda progress: progress / 2)) == [0, 0.125, 0.25, 0.375]
    for wrong in ("sine", "beta"):  # which is drawn at every step
        with pytest.raises(UserError, match=f"^adaptor='{wrong}': must be a function, or one of equal, parabolic_inc"):
            bbn_tf.CumulativeLearning(adaptor=wrong)


def test_an_epoch_without_an_end_is_refused():
    data = data_for("resnet8")
    model = bbn_tf.build_bbn(data)
    model.compile(loss="mse", run_eagerly=True)
    with pytest.raises(UserError, match="^fit: needs steps_per_epoch=data.steps_per_epoch, or its first epoch"):
        model.fit(data.dataset, callbacks=[bbn_tf.CumulativeLearning()], shuffle=False, verbose=0)
