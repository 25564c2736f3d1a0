"""A training step of pretrained networks at 224 pixels: plain, BBN, and BBN with a frozen trunk; and BBN's inference.

    python benchmarks/finetune_step.py

All contenders of a network are in one process and take turns within every round, in an order that rotates, so that
other work on the machine slows all of them.  Ratios are medians of each round's ratio to the plain network, of elapsed
time and of the processor's.  Weights are random: they do not change the work.  A step is of --batch_size images in each
stream, so BBN's has twice the plain one's images.
"""

import argparse
import time

import common  # noqa: F401  (first, since it sets TensorFlow's environment)
import keras
import numpy as np
import tensorflow as tf

from bbn_tf.models.bbn import BRANCHES, build_bbn
from bbn_tf.models.plain import build_plain
from bbn_tf.training.sgd import SGD

CLASSES = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["keras:MobileNetV3Small", "keras:EfficientNetV2B0"])
    parser.add_argument("--size", type=int, default=224, help="height and width of the images")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=10)
    return parser.parse_args()


def training_step(model, images, labels):
    """() -> None: one step of what `fit` runs."""
    model.compile(SGD(0.01, momentum=0.9), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if model.name == "bbn":
        images, labels = (images, images), (labels, labels)
    batches = iter(tf.data.Dataset.from_tensors((images, labels)).cache().repeat())
    model.make_train_function()
    return lambda: float(np.mean(model.train_function(batches)["loss"]))


def inference(model, images):
    """() -> None: the logits of a batch."""
    call = tf.function(lambda x: model(x, training=False))
    return lambda: call(images).numpy()


def contenders(backbone, options):
    """(dict name -> training step, dict name -> inference, share of the weights that is in the last block)."""
    rng = np.random.default_rng(0)
    shape = (options.size, options.size, 3)
    images = tf.constant(rng.normal(size=(options.batch_size, *shape)), tf.float32)
    labels = rng.integers(0, CLASSES, options.batch_size)
    plain, bbn, frozen = (build(backbone, shape, CLASSES) for build in (build_plain, build_bbn, build_bbn))
    frozen.get_layer("trunk").trainable = False
    trunk, block = (bbn.get_layer(part).count_params() for part in ("trunk", BRANCHES[0]))
    steps = {"plain": plain, "BBN": bbn, "BBN, frozen trunk": frozen}
    steps = {name: training_step(model, images, labels) for name, model in steps.items()}
    calls = {"plain": inference(plain, images), "BBN": inference(bbn.inference(), images)}
    return steps, calls, block / (trunk + block)


def measure(calls, rounds):
    """dict name -> array [rounds, 2] of elapsed and processor's seconds a call."""
    names, times = list(calls), {name: [] for name in calls}
    for call in calls.values():
        call(), call()  # the first ones build and optimise the graph
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = np.array([time.perf_counter(), time.process_time()])
            calls[name]()
            times[name].append(np.array([time.perf_counter(), time.process_time()]) - start)
    return {name: np.array(values) for name, values in times.items()}


def report(title, times):
    print(f"\n{title:<24}{'ms':>10}{'plain = 1':>12}{'CPU time':>10}")
    for name, values in times.items():
        ratio = np.median(values / times["plain"], axis=0)
        print(f"{name:<24}{1000 * np.median(values[:, 0]):>10.1f}{ratio[0]:>12.2f}{ratio[1]:>10.2f}")


def main():
    options = arguments()
    for backbone in options.backbones:
        keras.utils.set_random_seed(0)
        steps, calls, share = contenders(backbone, options)
        print(
            f"\n{backbone}, {options.size}x{options.size}, {options.batch_size} images a stream: the last block has "
            f"{share:.1%} of the plain network's weights"
        )
        report("a training step", measure(steps, options.rounds))
        report("inference", measure(calls, options.rounds))


if __name__ == "__main__":
    main()
