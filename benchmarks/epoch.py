"""Where the time of an epoch of BBN on CIFAR-10 at imbalance factor 50 goes; and beside the authors' PyTorch code.

    python benchmarks/epoch.py                                       # KERAS_BACKEND=jax for JAX
    python benchmarks/epoch.py --backbone=resnet8 --shrink=10        # smaller, without a GPU
    git clone https://github.com/Megvii-Nanjing/BBN ../published       # anywhere outside this tree
    python3 -m venv ../torch && ../torch/bin/pip install torch torchvision yacs matplotlib
    python benchmarks/epoch.py --variants=plain --published=../published --torch_python=../torch/bin/python

Every contender is a process of its own and has the machine to itself; it trains as `main.py` (or the published
main/train.py) does: both streams read and augmented, weights updated, a checkpoint (ours), 10,000 images evaluated
after every second epoch.  The images are random, CIFAR-10's in number and size, so no data set is needed.  Seconds:

    start      from the process's start to the first step, imports included
    first      the first epoch; second: the next one, with the first evaluation. Compilation included
    epoch      a later one without evaluation, and evaluated: one with (medians)
    stepping   steps of a later epoch, as they come
    step       steps of an epoch when one batch in memory is used again and again, without callbacks
    input      what tf.data needs for the batches of an epoch when nothing waits for them
    rest       what callbacks take at the end of an evaluated epoch

A run is 200 epochs with 20 evaluations, the default: start + first + second + 198 epochs + 19 evaluations more.
"""

import time

START = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402

import published_epoch  # noqa: E402
from common import (  # noqa: E402
    BATCH,
    WITHOUT_PUBLISHED,
    add_published,
    check_published,
    per_second,
    random_images,
)

FACTOR, EPOCHS_OF_A_RUN, EVALUATIONS_OF_A_RUN = 50, 200, 20
PUBLISHED = "published"
VARIANTS = {  # name -> (settings, options of compile)
    "plain": ({}, {}),
    "mixed_precision": ({"mixed_precision": True}, {}),
    "steps_per_execution=4": ({}, {"steps_per_execution": 4}),
    "steps_per_execution=16": ({}, {"steps_per_execution": 16}),
    "jit_compile": ({}, {"jit_compile": True}),  # JAX's and a single GPU's default anyway
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="plain,mixed_precision,steps_per_execution=4,steps_per_execution=16")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--backbone", default="resnet32", help="of ours; the published one is always resnet32")
    parser.add_argument("--shrink", type=int, default=1, help="divides the number of images")
    parser.add_argument("--seconds", type=float, default=5, help="of input alone")
    add_published(parser)
    parser.add_argument("--contender", choices=[*VARIANTS, PUBLISHED], help="what this process is; for itself")
    options = parser.parse_args()
    unknown = set(filter(None, options.variants.split(","))) - set(VARIANTS)
    if unknown or options.epochs < 4 or not 1 <= options.shrink <= 50:
        parser.error(f"--variants are some of {','.join(VARIANTS)}; --epochs at least 4; --shrink 1 to 50")
    if not options.contender:
        check_published(parser, options)
    return options


def ours(options):
    """dict: the seconds listed above."""
    from bbn_tf.config import Config
    from bbn_tf.modes import build
    from bbn_tf.runs.folder import RunFolder
    from bbn_tf.training import checkpoints

    settings, compile_options = VARIANTS[options.contender]
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            dataset="cifar10_lt",
            backbone=options.backbone,
            epochs=options.epochs,
            eval_every=2,
            lr_milestones=(),
            warmup_epochs=0,
            model_dir=folder,
            **settings,
        )
        dataset = random_images(FACTOR, options.shrink)
        steps = len(dataset.train_labels) // BATCH
        steps -= steps % compile_options.get("steps_per_execution", 1)  # Keras would run over the epoch's end
        if not steps:
            sys.exit(f"--shrink={options.shrink}: leaves too few images for one call of {options.contender}")
        run = RunFolder(folder)
        run.prepare(config.settings(), overwrite=True)
        with build.strategy(config).scope():
            model = build.model(config, dataset)
            model.compile(build.optimizer(config, model), build.loss(config, dataset), **compile_options)
            evaluator = build.evaluator(config, model, dataset)
            checkpoints.restore(model, run.newest_checkpoint)
        clock = watch(build.training_callbacks(config, run, dataset, evaluator))
        shown = {"steps_per_epoch": steps, "shuffle": False, "verbose": 0}
        model.fit(build.batches(config, dataset, 0), epochs=options.epochs, callbacks=clock.callbacks, **shown)
        alone = watch([])
        model.fit(one_batch(config, dataset), epochs=3, callbacks=alone.callbacks, **shown)
        lasted = [end - begin for begin, end in zip(clock.begun, clock.ended, strict=True)]
        return {
            "steps": steps,
            "start": clock.begun[0] - START,
            **durations(lasted, clock.stepping),
            "step": statistics.median(alone.stepping[1:]),
            "input": steps * BATCH / per_second(endless(config, dataset), BATCH, options.seconds),
            "rest": {name: statistics.median(values[3::2]) for name, values in clock.rest.items()},
        }


def published(options):
    """dict: as `ours`, without the last three."""
    steps, begin, lasted, stepping = published_epoch.train(
        options.published, options.epochs, EPOCHS_OF_A_RUN, options.shrink
    )
    return {"steps": steps, "start": begin - START, **durations(lasted, stepping)}


def durations(epochs, stepping):
    """dict of what is listed above: of lists of an epoch's seconds, every second of which ended with an evaluation."""
    return {
        "first": epochs[0],
        "second": epochs[1],
        "epoch": statistics.median(epochs[2::2]),
        "evaluated": statistics.median(epochs[3::2]),
        "stepping": statistics.median(stepping[2:]),
    }


def watch(callbacks):
    """An object with lists of times and durations, one an epoch, and the callbacks that fill them.

    begun, ended: when it began and when all callbacks were done with it; stepping: seconds of its steps;
    rest: dict callback -> seconds at the end of it.
    """
    import keras

    class Clock(keras.callbacks.Callback):  # first of all
        def __init__(self):
            super().__init__()
            self.begun, self.ended, self.stepping, self.rest = [], [], [], {}

        def on_epoch_begin(self, epoch, logs=None):
            self.begun.append(time.perf_counter())

        def on_epoch_end(self, epoch, logs=None):
            self.stepping.append(time.perf_counter() - self.begun[-1])

    clock = Clock()
    last = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: clock.ended.append(time.perf_counter()))

    def timed(method, name):
        def call(epoch, logs=None):
            start = time.perf_counter()
            method(epoch, logs)
            clock.rest.setdefault(name, []).append(time.perf_counter() - start)

        return call

    for callback in callbacks:
        callback.on_epoch_end = timed(callback.on_epoch_end, type(callback).__name__)
    clock.callbacks = [clock, *callbacks, last]
    return clock


def endless(config, dataset):
    from bbn_tf.modes import build

    return build.batches(config.replace(epochs=10_000), dataset, 0)


def one_batch(config, dataset):
    """The first batch of the training again and again."""
    import tensorflow as tf

    from bbn_tf.modes import build

    first = next(iter(build.batches(config, dataset, 0)))
    return tf.data.Dataset.from_tensors(first).cache().repeat().prefetch(2)


def in_a_process(name, options):
    python = options.torch_python if name == PUBLISHED else sys.executable
    kept = {k: v for k, v in vars(options).items() if k != "contender" and v is not None}
    command = [python, __file__, f"--contender={name}", *(f"--{k}={v}" for k, v in kept.items())]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: failed\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    figures = json.loads(done.stdout.splitlines()[-1])
    show(name, figures)
    return figures


def whole_run(figures):
    """Seconds of 200 epochs."""
    evaluation = figures["evaluated"] - figures["epoch"]
    begun = figures["start"] + figures["first"] + figures["second"]
    return begun + (EPOCHS_OF_A_RUN - 2) * figures["epoch"] + (EVALUATIONS_OF_A_RUN - 1) * evaluation


def show(name, figures):
    steps = figures["steps"]
    print(
        f"{name}: {steps / figures['stepping']:.2f} steps a second; start {figures['start']:.1f} s, epochs: first "
        f"{figures['first']:.2f} s, second {figures['second']:.2f} s, later {figures['epoch']:.2f} s, evaluated "
        f"{figures['evaluated']:.2f} s; {EPOCHS_OF_A_RUN} of them {whole_run(figures):,.0f} s"
    )
    if "step" in figures:
        step, mean = figures["step"], (9 * figures["epoch"] + figures["evaluated"]) / 10
        slow = {k: v for k, v in figures["rest"].items() if v >= 0.0005}
        rest = ", ".join(f"{k} {v:.3f} s" for k, v in sorted(slow.items(), key=lambda item: -item[1]))
        print(
            f"    step {1000 * step / steps:.2f} ms alone, {1000 * figures['stepping'] / steps:.2f} ms in an epoch; "
            f"all but the steps alone: {100 * (1 - step / mean):.1f} % of ten epochs\n"
            f"    input {1000 * figures['input'] / steps:.2f} ms a step, {step / figures['input']:.1f} times as fast\n"
            f"    at the end of an evaluated epoch: {rest}"
        )
    sys.stdout.flush()


def main():
    options = arguments()
    if options.contender == PUBLISHED:
        print(json.dumps(published(options)))
        return
    if options.contender:
        print(json.dumps(ours(options)))
        return
    names = [*filter(None, options.variants.split(",")), *([PUBLISHED] if options.published else [])]
    found = {name: figures for name in names if (figures := in_a_process(name, options))}
    for name in found:
        if PUBLISHED in found and name != PUBLISHED:
            mine, theirs = found[name], found[PUBLISHED]
            print(
                f"{name} beside published: {theirs['stepping'] / mine['stepping']:.2f} times the steps a second, "
                f"{whole_run(theirs) / whole_run(mine):.2f} times as fast over {EPOCHS_OF_A_RUN} epochs"
            )
    if not options.published:
        print(WITHOUT_PUBLISHED)
    if len(found) < len(names):
        sys.exit(1)


if __name__ == "__main__":
    main()
