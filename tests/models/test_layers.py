import keras
import numpy as np
import pytest
import tensorflow as tf

from bbn_tf.models.layers import BatchNorm, CosineClassifier, CumulativeClassifier, Mixup, ShortcutA, partners

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "float64"])
def test_batch_norm_by_hand(dtype):
    """Output by the biased, running variance by the unbiased batch variance; both paths of the layer."""
    x = RNG.normal(2, 3, (4, 5, 5, 6)).astype("float32")
    layer = BatchNorm(dtype=dtype)
    out = np.asarray(keras.ops.convert_to_numpy(layer(x, training=True)), np.float64)
    mean, variance = x.mean((0, 1, 2), dtype=np.float64), x.var((0, 1, 2), dtype=np.float64)
    tolerance = 0.02 if "bfloat16" in dtype else 1e-4
    np.testing.assert_allclose(out, (x - mean) / np.sqrt(variance + 1e-5), atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * mean, atol=tolerance, rtol=tolerance)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * variance * 100 / 99, rtol=tolerance)
    out = np.asarray(keras.ops.convert_to_numpy(layer(x, training=False)), np.float64)
    expected = (x - layer.moving_mean.numpy()) / np.sqrt(layer.moving_variance.numpy() + 1e-5)
    np.testing.assert_allclose(out, expected, atol=tolerance, rtol=tolerance)


def test_frozen_batch_norm_keeps_its_statistics():
    layer = BatchNorm(trainable=False)
    x = RNG.normal(2, 3, (4, 5, 5, 6)).astype("float32")
    out = layer(x, training=True)
    np.testing.assert_allclose(out, x / np.sqrt(1 + 1e-5), rtol=1e-5)
    assert not np.any(layer.moving_mean.numpy())


def test_shortcut_a():
    x = RNG.normal(size=(2, 4, 4, 3)).astype("float32")
    out = np.asarray(ShortcutA(7, stride=2)(x))
    assert out.shape == (2, 2, 2, 7)
    assert np.array_equal(out[..., 2:5], x[:, ::2, ::2])
    assert not np.any(out[..., :2]) and not np.any(out[..., 5:])


@pytest.mark.parametrize(("scale", "use_bias"), [(2.0, True), (1.0, False)])
def test_eq_1_by_hand(scale, use_bias):
    layer = CumulativeClassifier(3, feature_scale=scale, use_bias=use_bias)
    f_c, f_r = (RNG.normal(size=(2, 4)).astype("float32") for _ in range(2))
    layer((f_c, f_r))
    layer.alpha.assign(0.8)
    w_c, w_r = layer.conventional_kernel.numpy(), layer.rebalancing_kernel.numpy()
    bias = layer.bias.numpy() if use_bias else 0

    def eq_1(alpha):
        return scale * alpha * f_c @ w_c + scale * (1 - alpha) * f_r @ w_r + bias

    np.testing.assert_allclose(layer((f_c, f_r), training=True), eq_1(0.8), rtol=1e-5)
    np.testing.assert_allclose(layer((f_c, f_r)), eq_1(0.5), rtol=1e-5)  # whatever the weight holds
    np.testing.assert_allclose(layer((f_c, f_r), alpha=1.0), eq_1(1.0), rtol=1e-5)
    assert len(layer.trainable_weights) == 2 + use_bias
    assert abs(w_c).max() <= 8**-0.5


def test_alpha_is_a_tf_variable_read_at_every_step():
    layer = CumulativeClassifier(2)
    features = (np.ones((1, 4), "float32"), np.ones((1, 4), "float32"))
    layer(features)
    assert isinstance(layer.alpha.value, tf.Variable)
    step = tf.function(lambda: layer(features, training=True))
    results = []
    for alpha in (1.0, 0.0):
        layer.alpha.assign(alpha)
        results.append(step().numpy())
    assert not np.allclose(*results)


def test_partners_by_hand():
    assert partners(np.array([3, 1, 4, 1, 5, 9])).numpy().tolist() == [1, 3, 1, 4, 9, 5]
    x = RNG.normal(size=(4, 2, 2, 3))
    assert np.array_equal(partners(x), x[[1, 0, 3, 2]])


def test_mixup_by_hand():
    layer = Mixup()
    x = np.array([[1.0, 2.0], [5.0, 10.0]], "float32")
    assert np.array_equal(layer(x, training=True), x)
    layer.share.assign(0.75)
    np.testing.assert_allclose(layer(x, training=True), [[2, 4], [4, 8]])
    assert np.array_equal(layer(x), x)
    assert not layer.trainable_weights


def test_cosine_classifier_by_hand():
    layer = CosineClassifier(2, scale=5.0)
    features = np.array([[3.0, 4.0], [-6.0, 8.0]], "float32")
    layer(features)
    layer.kernel.assign([[7.0, 0.0], [0.0, 0.1]])
    np.testing.assert_allclose(layer(features), [[3.0, 4.0], [-3.0, 4.0]], rtol=1e-5)
