"""How fast each --augment value delivers images, beside what a training step takes.

    python benchmarks/augmentation.py

Prints the images a second of `input_pipeline.training_batches` (both streams of 128, CIFAR-10's size at imbalance
factor 100, random pixels) for every value of --augment, on all cores and on one, and their ratio to the images a
second that a training step of BBN-ResNet-32 takes from both streams on all cores.  No data set is needed.
"""

import os
import subprocess
import sys

from epoch import random_images
from reversed_stream import BATCH, per_second, step_in_a_process

ROUNDS, SECONDS = 3, 3


def main():
    from bbn_tf.data.augment import AUGMENTATIONS

    cores = len(os.sched_getaffinity(0))
    consumed = 2 * step_in_a_process()
    print(f"a training step of BBN-ResNet-32 takes {consumed:,.0f} images a second on all {cores} cores")
    print(f"{'--augment':>20} {'all cores':>12} {'/ step':>8} {'one core':>12} {'/ step':>8}")
    for name in AUGMENTATIONS:
        every, one = (in_a_process(name, count) for count in (cores, 1))
        print(f"{name:>20} {every:>12,.0f} {every / consumed:>8,.1f} {one:>12,.0f} {one / consumed:>8,.1f}")


def in_a_process(name, cores):
    """Images a second on so many cores: TensorFlow counts them when it starts, so in a process of its own."""
    return float(subprocess.check_output([sys.executable, __file__, name, str(cores)], text=True).split()[-1])


def delivered(name):
    """Prints the images a second of the training pipeline with one augmentation, best of three."""
    from bbn_tf.data import input_pipeline

    data = random_images(imbalance_factor=100)
    batches = input_pipeline.training_batches(
        data, BATCH, sampler="reversed", paired=True, augment=name, seed=0, initial_epoch=0, epochs=1000
    )
    print(2 * max(per_second(batches, SECONDS) for _ in range(ROUNDS)))  # two streams


if __name__ == "__main__":
    if sys.argv[1:]:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])
        delivered(sys.argv[1])
    else:
        main()
