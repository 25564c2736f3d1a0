"""Whether grouped convolutions can be trained here."""

import keras

from bbn_tf.errors import UserError


def check_trainable(backbone):
    """Takes a gradient of a small one.

    Args:
        backbone: name of the network that has grouped convolutions, for the message.

    Raises:
        UserError: TensorFlow has no such gradient here, as on a CPU without oneDNN.
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    kernel = tf.Variable(tf.zeros([3, 3, 1, 2]))
    try:
        with tf.GradientTape() as tape:
            outputs = tf.nn.conv2d(tf.zeros([1, 3, 3, 2]), kernel, 1, "SAME")
        tape.gradient(outputs, kernel)
    except tf.errors.OpError as error:
        raise UserError(
            f"--backbone={backbone}: TensorFlow can't train its grouped convolutions on this CPU without oneDNN; set "
            "TF_ENABLE_ONEDNN_OPTS=1 where the processor has it, train on a GPU or with KERAS_BACKEND=jax, or take "
            "another backbone"
        ) from error
