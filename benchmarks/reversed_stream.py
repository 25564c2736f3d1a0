"""How fast the re-balancing stream draws, on one core, beside tf.data's rejection_resample and a training step.

    python benchmarks/reversed_stream.py

Prints (index, label) pairs a second at imbalance factors 10, 50, 100 and 1000 of CIFAR-10's size for
`input_pipeline.resampled_indices` and for `tf.data.Dataset.rejection_resample`, and the images a second that
a training step of BBN-ResNet-32 takes from the stream on all cores.  No data set is needed.
"""

import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

BATCH = 128


def main():
    consumed = step_in_a_process()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow makes its threads
    print(f"a training step of BBN-ResNet-32 takes {consumed:,.0f} images a second from the stream, on all cores")
    print("on one core, drawn a second:")
    print(f"{'imbalance factor':>16} {'ours':>12} {'rejection_resample':>20} {'ratio':>8} {'ours / step':>12}")
    for factor in (10, 50, 100, 1000):
        ours, theirs = draws(factor)
        print(f"{factor:>16} {ours:>12,.0f} {theirs:>20,.0f} {ours / theirs:>8,.0f} {ours / consumed:>12,.0f}")


def draws(factor):
    """(index, label) pairs a second of both streams at one imbalance factor."""
    import numpy as np
    import tensorflow as tf

    from bbn_tf.data import input_pipeline, long_tail, samplers

    counts = long_tail.class_counts(5000, 10, factor)
    labels = np.repeat(np.arange(10), counts)
    probs = samplers.reversed_(counts)
    indices = input_pipeline.resampled_indices(labels, probs, BATCH, seed=0, epoch=0)
    ours = indices.map(lambda i: (i, tf.gather(tf.constant(labels), i)))
    # As one would write it: a shuffled stream of pairs, rejected one by one.
    pairs = tf.data.Dataset.from_tensor_slices((np.arange(len(labels)), labels)).shuffle(len(labels), seed=0).repeat()
    theirs = pairs.rejection_resample(
        lambda _, label: label, probs.astype("float32"), (counts / counts.sum()).astype("float32"), seed=0
    )
    return per_second(ours, seconds=3), per_second(theirs.batch(BATCH), seconds=3)


def per_second(batches, seconds):
    """Elements a second of a dataset of batches of `BATCH`, after two batches to warm up."""
    iterator = iter(batches)
    for _ in range(2):
        next(iterator)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        next(iterator)
        done += BATCH
    return done / (time.perf_counter() - start)


def step_in_a_process():
    """What `step` prints, measured in a process of its own, so that it has all cores and this one no TensorFlow yet."""
    return float(subprocess.check_output([sys.executable, __file__, "step"], text=True).split()[-1])


def step():
    """Prints the images a second that training steps of BBN-ResNet-32 take from each stream, best of ten."""
    import keras
    import numpy as np

    from bbn_tf.models.bbn import build_bbn
    from bbn_tf.training import optimizers

    model = build_bbn("resnet32", (32, 32, 3), 10)
    model.compile(optimizers.SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).normal(size=(2, BATCH, 32, 32, 3)).astype("float32")
    labels = np.zeros((2, BATCH), "int64")
    times = []
    for _ in range(12):
        start = time.perf_counter()
        model.train_on_batch(tuple(images), tuple(labels))
        times.append(time.perf_counter() - start)
    print(BATCH / min(times[2:]))


if __name__ == "__main__":
    step() if sys.argv[1:] == ["step"] else main()
