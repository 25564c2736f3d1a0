"""How fast each --augment value delivers images, beside what a training step takes.

    python benchmarks/augmentation.py

Prints the images a second of `input_pipeline.training_batches` (both streams of 128, CIFAR-10's size at imbalance
factor 100, random pixels) for every value of --augment, on all cores and on one, and their ratio to the images a
second that a training step of BBN-ResNet-32 takes from both streams on all cores.  No data set is needed.
"""

import argparse
import json
import os
import subprocess
import sys

import step_rate
from common import BATCH, per_second, random_images

from bbn_tf.data.augmentations import AUGMENTATIONS

NAMES = AUGMENTATIONS.having("arrays")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--augments", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    parser.add_argument("--seconds", type=float, default=3, help="of a round")
    step_rate.add_arguments(parser)
    parser.add_argument("--cores", type=int, help="how many this process has; for the script itself")
    return parser.parse_args()


def main():
    options = arguments()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])  # before TensorFlow makes its threads
        print(json.dumps({name: delivered(name, options) for name in options.augments}))
        return
    cores = len(os.sched_getaffinity(0))
    consumed = 2 * step_rate.in_a_process(options)
    print(f"a training step of BBN-{options.backbone} takes {consumed:,.0f} images a second on all {cores} cores")
    print(f"{'--augment':>20} {'all cores':>12} {'/ step':>8} {'one core':>12} {'/ step':>8}")
    every, one = (in_a_process(count, options) for count in (cores, 1))
    for name in options.augments:
        print(
            f"{name:>20} {every[name]:>12,.0f} {every[name] / consumed:>8,.1f} "
            f"{one[name]:>12,.0f} {one[name] / consumed:>8,.1f}"
        )


def in_a_process(cores, options):
    """dict name -> images a second on so many cores: TensorFlow counts them when it starts, so in a new process."""
    command = [sys.executable, __file__, f"--cores={cores}", f"--rounds={options.rounds}"]
    command += [f"--seconds={options.seconds}", "--augments", *options.augments]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def delivered(name, options):
    """The images a second of the training pipeline with one augmentation, best of the rounds."""
    from bbn_tf.data import input_pipeline

    data = random_images(imbalance_factor=100)
    batches = input_pipeline.training_batches(
        data, BATCH, sampler="reversed", paired=True, augment=name, seed=0, initial_epoch=0, epochs=1000
    )
    return max(per_second(batches, 2 * BATCH, options.seconds) for _ in range(options.rounds))  # two streams


if __name__ == "__main__":
    main()
