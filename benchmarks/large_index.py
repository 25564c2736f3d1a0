"""What a data set of iNaturalist's size costs before and while its images are read.

    python benchmarks/large_index.py [FOLDER]

Writes a stand-in for iNaturalist 2018 into FOLDER (default: a temporary one that is deleted): its JSON fields, 437,513
training images of 8,142 classes (1,000 to 2 a class, as there) and 24,426 to validate on, all of which name one of 300
generated JPEGs of 800 x 600.  Prints what reading the index takes in time and memory, what the run's record of its
images takes (with names as unlike each other as iNaturalist's are), reversed draws a second, images a second on ONE
core from JPEG to batch and in the check before a training beside the bare decoder's, and how each grows with classes
and images; and what reading a list of 500,000 lines takes.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from common import BATCH, per_second

CLASSES, IMAGES = 8_142, 437_513  # of iNaturalist 2018, to train on


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where the stand-in is written; default: a temporary folder")
    parser.add_argument(
        "--parts", type=int, nargs="+", default=[8, 4, 2, 1], help="what classes and images are divided by"
    )
    parser.add_argument("--files", type=int, default=300, help="JPEGs that the images share")
    parser.add_argument("--lines", type=int, default=500_000, help="of the list")
    parser.add_argument("--checked", type=int, default=2_000, help="files that are decoded as before a training")
    parser.add_argument("--batch_size", type=int, default=BATCH)
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement of a rate")
    parser.add_argument("--measure", choices=MEASUREMENTS, help="what this process does; for the script itself")
    return parser.parse_args()


def main():
    options = arguments()
    if options.measure:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow makes its threads
        print(json.dumps(MEASUREMENTS[options.measure](pathlib.Path(options.folder), options)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        report(pathlib.Path(options.folder or temporary), options)


def report(folder, options):
    sizes = [(divided(CLASSES, part), divided(IMAGES, part)) for part in options.parts]
    for number, (classes, images) in enumerate(sizes):
        write(folder / str(number), classes, images, options.files)
    columns = [in_a_process("index", folder / str(number), options) for number in range(len(sizes))]
    rows = {"classes": [c for c, _ in sizes], "training images": [n for _, n in sizes]}
    rows |= {name: [column[name] for column in columns] for name in columns[0]}
    for name, values in rows.items():
        shown = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values)
        print(f"{name:<40}" + "".join(f"{text:>12}" for text in shown))
    print(f"a list of {options.lines:,} lines:")
    for name, value in in_a_process("listing", folder, options).items():
        print(f"{name:<60}{value:>8,.2f}")
    print("images a second on one core:")
    for name, rate in in_a_process("decoding", folder / str(len(sizes) - 1), options).items():
        print(f"{name:<60}{rate:>8,.0f}")


def divided(count, part):
    return int(count / part + 0.5)  # a half is rounded up, whole numbers as in the README's table


def class_counts(classes, images):
    """int [C]: as iNaturalist 2018's, 1,000 to 2 images, a tenth of the classes above 100 and two fifths below 20.

    Geometric from 100 to 20, bent towards the head and the tail: by as much as the sum asks for, and so that a reversed
    draw takes some 270 candidates, as there.
    """
    import numpy as np

    place = (np.arange(classes) + 0.5) / classes

    def counts(bend):
        head = 100 * 10 ** np.clip(1 - place / 0.103, 0, 1) ** bend
        middle = 0.2 ** np.clip((place - 0.103) / 0.501, 0, 1)
        tail = 0.1 ** (np.clip((place - 0.604) / 0.396, 0, 1) ** 6)
        return np.maximum(head * middle * tail, 2).astype(int)

    low, high = 0.1, 10.0  # bends that give too many and too few
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if counts(middle).sum() > images else (low, middle)
    result = counts(high)
    result[: images - result.sum()] += 1
    assert result.sum() == images
    return result


def write(folder, classes, images, files):
    """The stand-in's JSON files, and the JPEGs that they name again and again."""
    import numpy as np

    write_jpegs(folder, files)
    counts = class_counts(classes, images)
    ranks = ("supercategory", "kingdom", "phylum", "class", "order", "family", "genus")
    categories = [{"id": i, "name": str(i), **dict.fromkeys(ranks, "Plantae")} for i in range(classes)]
    for part, per_class in (("train", counts), ("val", np.full(classes, 3))):
        labels = np.repeat(np.arange(classes), per_class)
        content = {
            "info": {"year": 2018},
            "images": [image(i, files) for i in range(len(labels))],
            "categories": categories,
            "annotations": [{"id": i, "image_id": i, "category_id": int(c)} for i, c in enumerate(labels)],
            "licenses": [],
        }
        (folder / f"{part}2018.json").write_text(json.dumps(content))


def image(i, files):
    """An image's entry in the JSON file."""
    name = file_name(i % files)
    return {
        "id": i,
        "width": 800,
        "height": 600,
        "file_name": name,
        "license": 0,
        "rights_holder": "somebody with a name",
    }


def file_name(number):
    """As long as iNaturalist's, where a name has 32 hexadecimal digits."""
    return f"train_val2018/Plantae/{number:032x}.jpg"


def write_jpegs(folder, files):
    import numpy as np
    from PIL import Image

    (folder / "train_val2018" / "Plantae").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(files):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize((800, 600), Image.BICUBIC)
        noisy = np.asarray(coarse) + rng.normal(0, 6, (600, 800, 3))
        Image.fromarray(np.uint8(noisy.clip(0, 255))).save(folder / file_name(i), quality=88)


def in_a_process(name, folder, options):
    """What `MEASUREMENTS[name]` returns, in a process of its own on one core."""
    command = [sys.executable, __file__, str(folder), f"--measure={name}", f"--batch_size={options.batch_size}"]
    command += [f"--seconds={options.seconds}", f"--lines={options.lines}", f"--checked={options.checked}"]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def index(folder, options):
    """Time and memory of the index, the file check and the first batch; draws a second."""
    import resource

    import tensorflow as tf

    from bbn_tf.data import file_checks, input_pipeline, samplers

    tf.random.uniform([])

    def megabytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6

    def timed(function):
        start = time.perf_counter()
        result = function()
        return result, time.perf_counter() - start

    before = megabytes()
    dataset, reading = timed(lambda: stand_in(folder))
    after = megabytes()
    arrays = (dataset.files(), dataset.train_labels, dataset.eval_labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    _, checking = timed(lambda: file_checks.glance(dataset.files()))
    batches = both_streams(dataset, "basic", options)
    _, first = timed(lambda: next(iter(batches)))
    recording = record_cost(dataset, folder / "run", timed)
    counts = dataset.class_counts
    acceptance = samplers.acceptance_probs(counts, samplers.reversed_(counts))
    size = options.batch_size
    drawn = input_pipeline.resampled_indices(dataset.train_labels, samplers.reversed_(counts), size, seed=0, epoch=0)
    return {
        "reading both JSON files, s": reading,
        "checking all files at a glance, s": checking,
        **recording,
        "first batch of both streams, s": first,
        "paths and labels, MB": sum(array.nbytes for array in arrays) / 1e6,
        "process before, MB": before,
        "process with the index, MB": after,
        "its peak while reading JSON, MB": peak,
        "candidates for one reversed draw": 1 / float((acceptance * counts).sum() / counts.sum()),
        "reversed draws a second": per_second(drawn, size, options.seconds),
    }


def record_cost(dataset, folder, timed):
    """Time and size of a run's record of its images, and of reading it and comparing it with what is there."""
    from bbn_tf.data import record, recorded

    rows, looking = timed(dataset.identities)
    rows = {part: [(label, unlike(name), size) for label, name, size in keys] for part, keys in rows.items()}
    written, writing = timed(lambda: record.write(folder, dataset.class_names, rows))
    read, reading = timed(lambda: record.read(folder))
    assert read == written
    _, following = timed(lambda: recorded.follow(read, dataset.class_names, dataset.parts))
    return {
        "recording all images, s": looking + writing,
        "the record, MB": sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        "reading the record, s": reading,
        "comparing it with the files, s": following,
    }


def unlike(name):
    """A name as long, but with digits that do not repeat, which are the larger part of a packed record."""
    start, _, _ = name.rpartition("/")
    return f"{start}/{os.urandom(16).hex()}.jpg"


def listing(folder, options):
    """Time and memory of a text list of 1,000 classes, from its lines to the two parts of a split."""
    import resource

    from bbn_tf.data import image_lists, listed_images, split

    def megabytes():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    file = folder / "list.txt"
    with open(file, "w") as lines:
        lines.writelines(f"train/n{i % 1000:08}/n{i % 1000:08}_{i}.JPEG {i % 1000}\n" for i in range(options.lines))
    before, start = megabytes(), time.process_time()
    _, images = listed_images.read({"train_list": str(file)}, str(folder))
    listed_images.refuse_repeated(images, allow_overlap=False)
    reading = time.process_time() - start
    files = image_lists.files_of(images, slice(None), str(folder))
    start = time.process_time()
    split.held_out(files.names(), files.labels, 0.2, "test", 0)
    return {
        "reading it and looking for duplicates, s of the processor": reading,
        "splitting it, s of the processor": time.process_time() - start,
        "paths, labels and lines, MB": sum(array.nbytes for array in (images.paths, images.labels, images.places))
        / 1e6,
        "peak of the process over what it was before, MB": megabytes() - before,
    }


def decoding(folder, options):
    """Images a second: the decoder alone, and from JPEG to batch with every input style."""
    import tensorflow as tf

    from bbn_tf.data import file_checks

    def decoder_alone():
        return calls_per_second(lambda content: tf.io.decode_jpeg(content, channels=3), contents, options.seconds)

    contents = [path.read_bytes() for path in sorted((folder / "train_val2018" / "Plantae").iterdir())]
    dataset = stand_in(folder)
    rates = {"bare decoder, whole image": decoder_alone()}
    for augment in ("none", "basic", "random_resized_crop"):
        batches = both_streams(dataset, augment, options)
        rates[f"from JPEG to batch, --augment={augment}"] = per_second(batches, 2 * options.batch_size, options.seconds)
    start = time.perf_counter()
    assert not file_checks.decode(dataset.train_items[: options.checked])
    rates["decoding all files before a training"] = options.checked / (time.perf_counter() - start)
    rates["the decoder again, whole image"] = decoder_alone()
    return rates


def stand_in(folder):
    """The data set in `folder`, its files not looked at."""
    from bbn_tf.data import datasets

    return datasets.load("inaturalist2018", data_dir=str(folder), image_size=224, find_damage=lambda paths: {})


def both_streams(dataset, augment, options):
    """An epoch's batches of BBN."""
    from bbn_tf.data import input_pipeline

    return input_pipeline.training_batches(
        dataset,
        options.batch_size,
        sampler="reversed",
        paired=True,
        augment=augment,
        seed=0,
        initial_epoch=0,
        epochs=1,
    )


def calls_per_second(function, contents, seconds):
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        function(contents[done % len(contents)])
        done += 1
    return done / (time.perf_counter() - start)


MEASUREMENTS = {"index": index, "listing": listing, "decoding": decoding}


if __name__ == "__main__":
    main()
