"""How fast the re-balancing stream draws, on one core, beside tf.data's rejection_resample and a training step.

    python benchmarks/reversed_stream.py

Prints (index, label) pairs a second at imbalance factors 10, 50, 100 and 1000 of CIFAR-10's size for
`input_pipeline.resampled_indices` and for `tf.data.Dataset.rejection_resample`, and the images a second that
a training step of BBN-ResNet-32 takes from the stream on all cores.  No data set is needed.
"""

import argparse
import os

import step_rate
from common import BATCH, per_second


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factors", type=float, nargs="+", default=[10, 50, 100, 1000], help="imbalance factors")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    step_rate.add_arguments(parser)
    return parser.parse_args()


def main():
    options = arguments()
    consumed = step_rate.in_a_process(options)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow makes its threads
    print(f"a training step of BBN-{options.backbone} takes {consumed:,.0f} images a second from the stream, all cores")
    print("on one core, drawn a second:")
    print(f"{'imbalance factor':>16} {'ours':>12} {'rejection_resample':>20} {'ratio':>8} {'ours / step':>12}")
    for factor in options.factors:
        ours, theirs = draws(factor, options.seconds)
        print(f"{factor:>16g} {ours:>12,.0f} {theirs:>20,.0f} {ours / theirs:>8,.0f} {ours / consumed:>12,.0f}")


def draws(factor, seconds):
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
    return tuple(per_second(batches, BATCH, seconds) for batches in (ours, theirs.batch(BATCH)))


if __name__ == "__main__":
    main()
