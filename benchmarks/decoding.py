"""What it costs to look for a camera's orientation in every file: the reader now, beside the same without that.

    python benchmarks/decoding.py

A JPEG of 500 x 375, the common size in ImageNet, without EXIF, is read, cropped at random, resized to 224 and
standardised, on one core.  The readers take turns in a random order, the old one twice, to show how much is noise;
times are of the processor, and the ratio is the median of the rounds.  Exits with status 1 if the reader now needs more
than 1.05 times as long (--limit).
"""

import argparse
import io
import os
import sys
import tempfile
import time

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import common  # noqa: F401  (first, since it sets TensorFlow's environment)
import numpy as np
import tensorflow as tf
from PIL import Image

from bbn_tf.data import crops, readers

HEIGHT, WIDTH, SIZE = 375, 500, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--images", type=int, default=10, help="of a turn")
    parser.add_argument("--limit", type=float, default=1.05, help="what the reader may need; exit status 1 if more")
    return parser.parse_args()


def photograph():
    """A JPEG's content: smooth colours with some noise, about as large as a photograph's."""
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (15, 20, 3), np.uint8)).resize((WIDTH, HEIGHT), Image.BICUBIC)
    pixels = np.clip(np.asarray(colours) + rng.normal(0, 6, (HEIGHT, WIDTH, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "jpeg", quality=90)
    return buffer.getvalue()


def without_orientation(content, crop, size, key=None):
    """`crops.decode` as it was before it looked for an orientation."""

    def from_jpeg():
        window = crop(tf.io.extract_jpeg_shape(content)[:2], key)
        return tf.io.decode_and_crop_jpeg(content, window, channels=3)

    def from_other():
        image = tf.io.decode_image(content, channels=3, expand_animations=False)
        image = tf.ensure_shape(image, [None, None, 3])
        return crops.cut(image[None], crop(tf.shape(image)[:2], key))[0]

    return crops.resize(tf.cond(tf.io.is_jpeg(content), from_jpeg, from_other)[None], size)[0]


def endless(path, decode, count):
    """Iterator over images as the reader makes them with this `decode`, on one thread."""
    now, crops.decode = crops.decode, decode
    try:
        read = readers.image_reader(readers.file_contents([path]), SIZE, MEAN, STD, "basic", True)
        keys = tf.data.Dataset.range(count).repeat().map(lambda i: tf.stack([i, i]))
        images = keys.map(lambda key: read(tf.constant(0, tf.int64), key)).batch(count)
    finally:
        crops.decode = now
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False  # no reading ahead while the other is timed
    options.threading.private_threadpool_size = 1
    return iter(images.with_options(options))


def seconds(images, count):
    """Processor time of an image of `count`: what else runs on the machine does not count."""
    start = time.process_time()
    next(images)
    return (time.process_time() - start) / count


def main():
    options = arguments()
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photograph())
        file.flush()
        decoders = {"before": without_orientation, "before, again": without_orientation, "now": crops.decode}
        readings = {name: endless(file.name.encode(), decode, options.images) for name, decode in decoders.items()}
        first = [next(images) for images in readings.values()]
        np.testing.assert_array_equal(first[0], first[-1])
        order = np.random.default_rng(0)
        times = {name: np.empty(options.rounds) for name in readings}
        for turn in range(options.rounds):
            for name in order.permutation(list(readings)):
                times[name][turn] = seconds(readings[name], options.images)
    for name, values in times.items():
        low, ratio, high = np.percentile(values / times["before"], [25, 50, 75])
        print(f"{name}: {np.median(values) * 1e3:.2f} ms, {ratio:.3f} of before (quartiles {low:.3f}, {high:.3f})")
    if ratio > options.limit:
        sys.exit(1)


if __name__ == "__main__":
    main()
