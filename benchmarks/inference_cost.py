"""What BBN costs at inference: its exported SavedModel beside a plain network's and beside two of them.

    python benchmarks/inference_cost.py

The models take turns within every round, in an order that rotates, so that other work on the machine
slows all of them; the figures are medians over the rounds, and the ratios medians of each round's ratio,
of elapsed time and of the processor's time, which other work disturbs less.  Weights are random: they do
not change the work.
"""

import argparse
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # a script, started from any folder

from bbn_tf.models.backbones import BACKBONES
from bbn_tf.models.bbn import build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.modes import export

import keras  # isort: skip  (bbn_tf sets TensorFlow's environment before its import)
import numpy as np
import tensorflow as tf

GOAL = 1.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet32", choices=BACKBONES)
    parser.add_argument("--num_classes", type=int, default=10)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 128])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=0.2, help="that a model's turn in a round takes, about")
    return parser.parse_args()


def exported(build, options, folder):
    """Signature serving_default of a freshly built network, exported to `folder` and loaded from there."""
    facts = {"class_names": [str(i) for i in range(options.num_classes)], "mean": [0.5] * 3, "std": [0.25] * 3}
    model = build(options.backbone, (options.size, options.size, 3), options.num_classes)
    export.write_saved_model(model, facts, folder)
    loaded = tf.saved_model.load(folder)
    signature = loaded.signatures["serving_default"]
    signature.keep = loaded  # its variables live as long as the loaded object
    return signature


def build_contenders(options, folder):
    """dict name -> function of images uint8 [B, H, W, 3] that returns when the answer is there."""
    plain = exported(build_plain, options, folder / "plain")
    second = exported(build_plain, options, folder / "second")
    bbn = exported(build_bbn, options, folder / "bbn")

    def both(image):
        return plain(image=image)["probabilities"].numpy() + second(image=image)["probabilities"].numpy()

    return {
        "plain": lambda image: plain(image=image)["probabilities"].numpy(),
        "BBN": lambda image: bbn(image=image)["probabilities"].numpy(),
        "two networks": both,
    }


def seconds_per_call(call, image, repeats):
    """Array [2]: elapsed seconds, and those of the processor summed over its cores."""
    start = np.array([time.perf_counter(), time.process_time()])
    for _ in range(repeats):
        call(image)
    return (np.array([time.perf_counter(), time.process_time()]) - start) / repeats


def measure(contenders, image, rounds, seconds):
    """dict name -> array [rounds, 2] of seconds a call."""
    for call in contenders.values():
        seconds_per_call(call, image, 3)  # the first calls optimise the graph
    repeats = max(1, round(seconds / seconds_per_call(contenders["plain"], image, 3)[0]))
    names = list(contenders)
    times = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(seconds_per_call(contenders[name], image, repeats))
    return {name: np.array(values) for name, values in times.items()}


def report(times, batch_size):
    """Prints a line a contender; returns BBN's median ratio to the plain network in elapsed time."""
    ratios = {name: values / times["plain"] for name, values in times.items()}  # [rounds, 2]
    print(f"\nbatches of {batch_size:<5}{'images/s':>10}{'ms a batch':>12}   cost, plain = 1   (quartiles)   CPU time")
    for name, values in times.items():
        elapsed = np.median(values[:, 0])
        low, ratio, high = np.quantile(ratios[name][:, 0], [0.25, 0.5, 0.75])
        print(
            f"{name:<16}{batch_size / elapsed:>10.0f}{1000 * elapsed:>12.2f}{ratio:>18.3f}   ({low:.2f}, {high:.2f})"
            f"{np.median(ratios[name][:, 1]):>13.3f}"
        )
    return float(np.median(ratios["BBN"][:, 0]))


def main():
    options = arguments()
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        contenders = build_contenders(options, pathlib.Path(folder))
    rng = np.random.default_rng(0)
    print(f"{options.backbone}, {options.size}x{options.size}, {options.num_classes} classes, {options.rounds} rounds")
    costs = []
    for batch_size in options.batch_sizes:
        image = tf.constant(rng.integers(0, 256, (batch_size, options.size, options.size, 3), dtype=np.uint8))
        costs.append(report(measure(contenders, image, options.rounds, options.seconds), batch_size))
    print(f"\nBBN costs at most {max(costs):.3f} times the plain network (goal: {GOAL})")
    return 0 if max(costs) <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
