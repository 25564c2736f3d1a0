"""A training step of BBN-ResNet-32 beside the authors' PyTorch code, on the CPU.

    git clone https://github.com/Megvii-Nanjing/BBN ../published       # anywhere outside this tree
    python3 -m venv ../torch && ../torch/bin/pip install torch yacs    # and what else its lib/ imports
    python benchmarks/training_step.py --published=../published --torch_python=../torch/bin/python

2 x 128 images of 32x32 in, weights updated: no reading and no augmentation.  PyTorch's step is the published one
(its network, combiner and optimizer), as it is and with channels-last memory.  Each contender is a process of its
own; they take turns within every round, in an order that rotates, so that other work on the machine slows all of
them.  Figures are medians over the rounds, ratios medians of each round's ratio.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BATCH, CLASSES, WARM_UP = 128, 10, 3
ANSWER = "answer: "  # how lines begin that are for the process that asks


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", help="clone of the authors' code")
    parser.add_argument("--torch_python", help="Python with PyTorch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=4, help="of a turn")
    parser.add_argument("--contender", choices=CONTENDERS, help="what this process is; for the script itself")
    return parser.parse_args()


def batch():
    """((x_c, x_r), (y_c, y_r)) of one step: float32 [B, 32, 32, 3] and int64 [B]."""
    import numpy as np

    rng = np.random.default_rng(0)
    images = [rng.normal(size=(BATCH, 32, 32, 3)).astype("float32") for _ in range(2)]
    return tuple(images), tuple(rng.integers(0, CLASSES, BATCH) for _ in range(2))


def keras_step(options):
    """() -> None: one step of what `fit` runs."""
    sys.path.insert(0, str(ROOT))
    from bbn_tf.training import optimizers  # isort: skip  (sets TensorFlow's environment before its import)

    import keras
    import tensorflow as tf

    from bbn_tf.models.bbn import build_bbn

    model = build_bbn("resnet32", (32, 32, 3), CLASSES)
    optimizer = optimizers.SGD(0.1, coupled_weight_decay=2e-4, momentum=0.9, nesterov=True)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.alpha.assign(0.75)
    batches = iter(tf.data.Dataset.from_tensors(batch()).cache().repeat())
    model.make_train_function()
    return lambda: float(model.train_function(batches)["loss"])


def published_step(options, channels_last=False):
    """() -> None: one step as its core/function.py makes it."""
    sys.path[:0] = [os.path.join(options.published, "lib")]
    import numpy as np
    import torch
    from config import cfg
    from core.combiner import Combiner
    from net import Network
    from utils.utils import get_optimizer

    cfg.merge_from_file(os.path.join(options.published, "configs", "cifar10.yaml"))
    model = Network(cfg, mode="train", num_classes=CLASSES).train()
    optimizer, combiner = get_optimizer(cfg, model), Combiner(cfg, torch.device("cpu"))
    combiner.reset_epoch(101)  # alpha 0.75
    images, labels = batch()
    images = [torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))) for x in images]
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = [x.to(memory_format=torch.channels_last) for x in images]
    labels = [torch.from_numpy(y) for y in labels]

    def step():
        loss, _ = combiner.forward(model, torch.nn.functional.cross_entropy, images[0], labels[0],
                                   {"sample_image": images[1], "sample_label": labels[1]})  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.data.item())

    return step


CONTENDERS = {
    "Keras on TensorFlow": keras_step,
    "published": published_step,
    "published, channels last": lambda options: published_step(options, channels_last=True),
}


def work(options):
    """A contender: for every line on stdin makes some steps, and answers with the seconds of one."""
    step = CONTENDERS[options.contender](options)
    for _ in range(WARM_UP):
        step()
    print(f"{ANSWER}ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        print(f"{ANSWER}{(time.perf_counter() - start) / options.steps}", flush=True)


def start(name, options):
    python = sys.executable if CONTENDERS[name] is keras_step else options.torch_python
    command = [python, __file__, f"--contender={name}", f"--published={options.published}", f"--steps={options.steps}"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def answer(process):
    for line in process.stdout:
        if line.startswith(ANSWER):  # the published code prints, too
            return line.removeprefix(ANSWER).strip()
    sys.exit(f"{process.args[2]} ended; run it alone to see why: {' '.join(process.args)}")


def main():
    options = arguments()
    if options.contender:
        return work(options)
    if not (options.published and options.torch_python):
        sys.exit("needs --published and --torch_python, see --help")
    processes = {name: start(name, options) for name in CONTENDERS}
    for process in processes.values():
        assert answer(process) == "ready"
    seconds = {name: [] for name in CONTENDERS}
    names = list(CONTENDERS)
    for number in range(options.rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            processes[name].stdin.write("\n")
            processes[name].stdin.flush()
            seconds[name].append(float(answer(processes[name])))
    for process in processes.values():
        process.stdin.close()
        process.wait()
    show(seconds)


def show(seconds):
    import numpy as np

    ours = np.array(seconds["Keras on TensorFlow"])
    for name, values in seconds.items():
        ratio = np.median(ours / np.array(values))
        print(f"{name:>26}: {1000 * np.median(values):6.0f} ms a step; ours takes {ratio:.2f} of it")


if __name__ == "__main__":
    main()
