"""What a data set of iNaturalist's size costs before and while its images are read.

    python benchmarks/large_index.py [FOLDER]

Writes a stand-in for iNaturalist 2018 into FOLDER (default: a temporary one that is deleted): its JSON fields, 437,513
training images of 8,142 classes (1,000 to 2 a class, as there) and 24,426 to validate on, all of which name one of 300
generated JPEGs of 800 x 600.  Prints what reading the index takes in time and memory, what the run's record of its
images takes (with names as unlike each other as iNaturalist's are), reversed draws a second, images a second on ONE
core from JPEG to batch and in the check before a training beside the bare decoder's, and how each grows with classes
and images.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

SIZES = ((1_018, 54_689), (2_036, 109_378), (4_071, 218_757), (8_142, 437_513))  # classes, training images
FILES = 300
BATCH = 128
SECONDS = 8
CHECKED = 2_000  # files


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(sys.argv[1] if sys.argv[1:] else temporary)
        for number, (classes, images) in enumerate(SIZES):
            write(folder / str(number), classes, images)
        columns = [in_a_process("index", folder / str(number)) for number in range(len(SIZES))]
        rows = {"classes": [c for c, _ in SIZES], "training images": [n for _, n in SIZES]}
        rows |= {name: [column[name] for column in columns] for name in columns[0]}
        for name, values in rows.items():
            shown = (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values)
            print(f"{name:<40}" + "".join(f"{text:>12}" for text in shown))
        print("images a second on one core:")
        for name, rate in in_a_process("decoding", folder / str(len(SIZES) - 1)).items():
            print(f"{name:<60}{rate:>8,.0f}")


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


def write(folder, classes, images):
    """The stand-in's JSON files, and the JPEGs that they name again and again by links."""
    import numpy as np

    jpegs(folder / "train_val2018")
    counts = class_counts(classes, images)
    ranks = ("supercategory", "kingdom", "phylum", "class", "order", "family", "genus")
    categories = [{"id": i, "name": str(i), **dict.fromkeys(ranks, "Plantae")} for i in range(classes)]
    for part, per_class in (("train", counts), ("val", np.full(classes, 3))):
        labels = np.repeat(np.arange(classes), per_class)
        content = {
            "info": {"year": 2018},
            "images": [{"id": i, "width": 800, "height": 600, "file_name": file_name(i), "license": 0,
                        "rights_holder": "somebody with a name"} for i in range(len(labels))],
            "categories": categories,
            "annotations": [{"id": i, "image_id": i, "category_id": int(c)} for i, c in enumerate(labels)],
            "licenses": [],
        }  # fmt: skip
        (folder / f"{part}2018.json").write_text(json.dumps(content))


def file_name(i):
    """As long as iNaturalist's, where a name has 32 hexadecimal digits."""
    return f"train_val2018/Plantae/{i % FILES:032x}.jpg"


def jpegs(folder):
    import numpy as np
    from PIL import Image

    (folder / "Plantae").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(FILES):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize((800, 600), Image.BICUBIC)
        noisy = np.asarray(coarse) + rng.normal(0, 6, (600, 800, 3))
        Image.fromarray(np.uint8(noisy.clip(0, 255))).save(folder.parent / file_name(i), quality=88)


def in_a_process(name, folder):
    """What `MEASUREMENTS[name]` returns, in a process of its own on one core."""
    command = [sys.executable, __file__, name, str(folder)]
    return json.loads(subprocess.check_output(command, text=True).splitlines()[-1])


def index(folder):
    """Time and memory of the index, the file check and the first batch; draws a second."""
    import resource

    import tensorflow as tf

    from bbn_tf.data import datasets, file_checks, input_pipeline, samplers

    tf.random.uniform([])

    def megabytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize() / 1e6

    def timed(function):
        start = time.perf_counter()
        result = function()
        return result, time.perf_counter() - start

    before = megabytes()
    load = {"name": "inaturalist2018", "data_dir": str(folder), "image_size": 224}
    dataset, reading = timed(lambda: datasets.load(**load, find_damage=lambda paths: {}))
    after = megabytes()
    arrays = (dataset.files(), dataset.train_labels, dataset.eval_labels)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    _, checking = timed(lambda: file_checks.glance(dataset.files()))
    batches = input_pipeline.training_batches(
        dataset, BATCH, sampler="reversed", paired=True, augment="basic", seed=0, initial_epoch=0, epochs=1
    )
    _, first = timed(lambda: next(iter(batches)))
    recording = record_cost(dataset, folder / "run", timed)
    counts = dataset.class_counts
    acceptance = samplers.acceptance_probs(counts, samplers.reversed_(counts))
    drawn = input_pipeline.resampled_indices(
        dataset.train_labels, samplers.reversed_(counts), BATCH, seed=0, epoch=0
    )  # fmt: skip
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
        "reversed draws a second": per_second(drawn, BATCH),
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


def decoding(folder):
    """Images a second: the decoder alone, and from JPEG to batch with every input style."""
    import tensorflow as tf

    from bbn_tf.data import datasets, file_checks, input_pipeline

    contents = [path.read_bytes() for path in sorted((folder / "train_val2018" / "Plantae").iterdir())]
    dataset = datasets.load(
        "inaturalist2018", data_dir=str(folder), image_size=224, find_damage=lambda paths: {}
    )  # fmt: skip
    rates = {"bare decoder, whole image": calls_per_second(lambda c: tf.io.decode_jpeg(c, channels=3), contents)}
    for augment in ("none", "basic", "random_resized_crop"):
        batches = input_pipeline.training_batches(
            dataset, BATCH, sampler="reversed", paired=True, augment=augment, seed=0, initial_epoch=0, epochs=1
        )
        rates[f"from JPEG to batch, --augment={augment}"] = per_second(batches, 2 * BATCH)
    start = time.perf_counter()
    assert not file_checks.decode(dataset.train_items[:CHECKED])
    rates["decoding all files before a training"] = CHECKED / (time.perf_counter() - start)
    rates["the decoder again, whole image"] = calls_per_second(lambda c: tf.io.decode_jpeg(c, channels=3), contents)
    return rates


def per_second(batches, images):
    """Images a second of a dataset of batches of so many images, after two to warm up."""
    iterator = iter(batches)
    for _ in range(2):
        next(iterator)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        next(iterator)
        done += images
    return done / (time.perf_counter() - start)


def calls_per_second(function, contents):
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        function(contents[done % len(contents)])
        done += 1
    return done / (time.perf_counter() - start)


MEASUREMENTS = {"index": index, "decoding": decoding}


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in MEASUREMENTS:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before TensorFlow makes its threads
        print(json.dumps(MEASUREMENTS[sys.argv[1]](pathlib.Path(sys.argv[2]))))
    else:
        main()
