"""How many images a second a training step of BBN takes from each of its two streams.

    python benchmarks/step_rate.py

2 x 128 images in memory, weights updated, on all cores; best of ten steps.  Other benchmarks compare with it.
"""

import argparse
import subprocess
import sys
import time

import common


def add_arguments(parser):
    """Gives a parser the options of a script that compares with a training step."""
    parser.add_argument("--backbone", default="resnet32", help="of the training step")
    parser.add_argument("--step_rate", type=float, help="images a second that a training step takes; else measured")


def in_a_process(options):
    """The rate, in a process of its own, so that it has all cores and this process no TensorFlow yet."""
    if options.step_rate:
        return options.step_rate
    command = [sys.executable, __file__, f"--backbone={options.backbone}"]
    return float(subprocess.check_output(command, text=True).split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet32")
    print(measured(parser.parse_args().backbone))


def measured(backbone):
    import keras
    import numpy as np

    from bbn_tf.models.bbn import build_bbn
    from bbn_tf.training.sgd import SGD

    model = build_bbn(backbone, (32, 32, 3), 10)
    model.compile(SGD(0.1, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).normal(size=(2, common.BATCH, 32, 32, 3)).astype("float32")
    labels = np.zeros((2, common.BATCH), "int64")
    times = []
    for _ in range(12):
        start = time.perf_counter()
        model.train_on_batch(tuple(images), tuple(labels))
        times.append(time.perf_counter() - start)
    return common.BATCH / min(times[2:])


if __name__ == "__main__":
    main()
